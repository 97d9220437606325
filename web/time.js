// Time under the map: a slider that replays it, and two moments compared. The past is drawn as it was served then.

import { get } from "./api.js";
import { now } from "./city.js";
import { button, element, icon } from "./element.js";
import { Film, PIPES_THEN, unknown, unlessRefused } from "./film.js";
import { clock, t } from "./i18n.js";
import { EMPTY } from "./mapstyle.js";
import { change, state } from "./state.js";

const SPANS_S = { "1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800 };
const STEPS = 120; // of the slider
const TICK_MS = 220;
const REST_MS = 160;

/** What gives the features of a map their `change`: 1 where the risk rose or sight was lost, -1 where it fell. */
function marked(found, named, key) {
  const rose = new Set(found.rose.concat(found.lost_sight).map((each) => each[named]));
  const fell = new Set(found.fell.concat(found.seen_again).map((each) => each[named]));
  const change = (name) => (rose.has(name) ? 1 : fell.has(name) ? -1 : 0);
  return (shown) => ({ ...shown, features: shown.features.map((each) => ({ ...each, properties: { ...each.properties, change: change(each.properties[key]) } })) });
}

export class TimeBar {
  /** @param {HTMLElement} parent @param {any} map @param {{failed: (error: any) => void, live: () => void, changed: () => void}} on */
  constructor(parent, map, on) {
    this.parent = parent;
    this.map = map;
    this.on = on;
    this.span = "24h";
    this.film = null; // of the span, at the resolution of the map
    this.timer = 0;
    this.turn = null;
  }

  get past() {
    return Boolean(state.moment);
  }

  /** The controls; the slider counts minutes back from now. */
  draw() {
    const length = SPANS_S[this.span];
    const at = this.past ? new Date(state.moment) : new Date(now());
    const value = Math.max(0, Math.round(length - (now() - at) / 1000));
    this.parent.classList.toggle("past", this.past);
    this.parent.setAttribute("role", "group");
    this.parent.setAttribute("aria-label", t("time_bar"));
    this.slider = element("input", { type: "range", min: 0, max: length, step: Math.max(1, length / STEPS), "aria-label": t("time_slider"), oninput: () => this.slid() });
    this.slider.value = String(value);
    this.slider.setAttribute("aria-valuetext", clock(at));
    this.label = element("span", { class: "now" }, this.past ? clock(at) : t("live"));
    const spans = element("select", { "aria-label": t("span"), onchange: (event) => { this.span = event.target.value; this.film = null; this.draw(); } },
      ...Object.keys(SPANS_S).map((name) => element("option", { value: name, selected: name === this.span }, t(`span_${name}`))));
    this.parent.replaceChildren(
      button({ class: "plain play", title: t(this.timer ? "pause" : "play"), "aria-label": t(this.timer ? "pause" : "play"), onclick: () => this.toggle() }, icon(this.timer ? "pause" : "play", 16)),
      spans, this.slider, this.label,
      button({ class: "plain compare", "aria-pressed": String(Boolean(state.against)), title: t("compare_hint"), onclick: () => this.compare() }, icon("compare", 15), t("compare")),
      this.past || state.against ? button({ class: "plain live", onclick: () => this.live() }, t("back_to_live")) : "",
      this.told ?? "");
  }

  slid() {
    const back = SPANS_S[this.span] - Number(this.slider.value);
    const at = new Date(now() - back * 1000);
    this.label.textContent = clock(at);
    this.slider.setAttribute("aria-valuetext", clock(at));
    if (back < Number(this.slider.step) / 2 && !this.timer) return this.live();
    change({ moment: at.toISOString().slice(0, 19) + "Z" });
    this.parent.classList.add("past");
    clearTimeout(this.rest);
    this.film?.show(this.map, at.getTime());
    this.rest = setTimeout(() => this.show(), this.timer ? 1e9 : REST_MS);
    return null;
  }

  /** The map of the chosen moment, exactly as it was served; beside another one where they are compared. */
  async show() {
    if (!this.past) return this.live({ quiet: true });
    const turn = (this.turn = {});
    try {
      const at = state.moment;
      const resolution = this.map.resolution;
      const [cells, pipes, compared] = await Promise.all([
        get("/risk/cells", { resolution, at }),
        get("/risk/segments", { at, ...PIPES_THEN }),
        state.against ? this.difference(resolution) : null,
      ]);
      if (turn !== this.turn) return null;
      this.film?.forget();
      await this.map.show("cells", compared ? compared.cells(cells) : cells);
      await this.map.show("pipes", compared ? compared.pipes(pipes) : pipes);
      this.say(compared ? compared.told : null);
      this.on.changed();
    } catch (error) {
      if (turn !== this.turn) return null;
      if (error.status !== 404) return this.on.failed(error);
      await this.map.show("cells", EMPTY);
      await this.map.show("pipes", unknown(this.map.data.pipes));
      this.say(element("span", { class: "wrong" }, t("no_map_then")));
    }
    return this.draw();
  }

  say(what) {
    this.told = what;
  }

  /** What marks the cells and pipes that rose and fell since the other moment, and the words for it. */
  async difference(resolution) {
    const [from, to] = [state.against, state.moment].sort();
    if (from === to) return null;
    const limit = 1000;
    const [cells, pipes] = await Promise.all([get("/risk/compare", { from, to, resolution, limit }), unlessRefused(get("/risk/compare/segments", { from, to, limit }))]);
    const told = (name, { rose, fell, lost_sight: lost }) => element("span", {}, t("compared", { what: t(name), rose, fell, lost }));
    return {
      cells: marked(cells, "cell", "cell"), pipes: pipes ? marked(pipes, "asset", "id") : (found) => found,
      told: element("span", { class: "told" }, element("b", {}, t("compared_with", { from: clock(from) })), told("cells", cells.counts), pipes ? told("pipes", pipes.counts) : ""),
    };
  }

  /** The moment that is shown becomes the one that others are compared with, now first. */
  async compare() {
    if (state.against) {
      change({ against: "" });
      this.told = null;
      return this.past ? this.show() : this.draw();
    }
    const text = (at) => new Date(at).toISOString().slice(0, 19) + "Z";
    const { first } = await get("/risk/span").catch(() => ({ first: null }));
    const begin = Math.max(now() - SPANS_S[this.span] * 1000, first ? Date.parse(first) + 1000 : 0); // before that there was no map
    change({ against: state.moment || text(begin), moment: text(now() - 5000) }); // with now; the slider then goes elsewhere
    return this.show();
  }

  live({ quiet = false } = {}) {
    this.stop();
    clearTimeout(this.rest);
    this.turn = {};
    this.told = null;
    change({ moment: "", against: "" });
    this.draw();
    if (!quiet) this.on.live();
  }

  async load() {
    const of = `${this.span} ${this.map.resolution}`;
    if (this.film?.of !== of) this.film = await Film.load(SPANS_S[this.span], this.map.resolution, of);
    return this.film;
  }

  async toggle() {
    if (this.timer) {
      this.stop();
      return this.show();
    }
    try {
      const { frames } = await this.load();
      let at = frames.findIndex((each) => each.at > (this.past ? Date.parse(state.moment) : 0));
      if (at < 0 || at >= frames.length - 1) at = 0;
      this.timer = setInterval(() => {
        if (at >= frames.length) return this.live();
        change({ moment: new Date(frames[at].at).toISOString().slice(0, 19) + "Z" });
        this.slider.value = String(SPANS_S[this.span] - (now() - frames[at].at) / 1000);
        this.label.textContent = clock(frames[at].at);
        this.film.show(this.map, frames[at].at);
        at += 1;
        return null;
      }, TICK_MS);
      this.draw();
    } catch (error) {
      this.on.failed(error);
    }
    return null;
  }

  stop() {
    clearInterval(this.timer);
    this.timer = 0;
  }

  moved() {
    if (this.past && !this.timer) this.show();
  }
}
