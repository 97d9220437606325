// Time under the map: a slider that replays it, and two moments compared. The past is drawn as it was served then.

import { get } from "./api.js";
import { now } from "./city.js";
import { button, element, icon } from "./element.js";
import { clock, t } from "./i18n.js";
import { EMPTY } from "./mapstyle.js";
import { change, state } from "./state.js";

const SPANS_S = { "1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800 };
const FRAMES = 120;
const TICK_MS = 220;
const REST_MS = 160;

export class TimeBar {
  /** @param {HTMLElement} parent @param {any} map @param {{failed: (error: any) => void, live: () => void, changed: () => void}} on */
  constructor(parent, map, on) {
    this.parent = parent;
    this.map = map;
    this.on = on;
    this.span = "24h";
    this.film = null; // frames of the span, at the resolution of the map
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
    this.slider = element("input", { type: "range", min: 0, max: length, step: Math.max(1, length / FRAMES), "aria-label": t("time_slider"), oninput: () => this.slid() });
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
    if (this.film) this.still(at);
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
        get("/risk/segments", { at, limit: 5000 }),
        state.against ? this.difference(resolution) : null,
      ]);
      if (turn !== this.turn) return null;
      await this.map.show("cells", compared ? compared(cells) : cells);
      await this.map.show("pipes", pipes);
      this.say(compared ? this.told : null);
      this.on.changed();
    } catch (error) {
      if (turn !== this.turn) return null;
      if (error.status !== 404) return this.on.failed(error);
      await this.map.show("cells", EMPTY);
      this.say(element("span", { class: "wrong" }, t("no_map_then")));
    }
    return this.draw();
  }

  say(what) {
    this.told = what;
  }

  /** Marks the cells that rose and fell since the other moment. */
  async difference(resolution) {
    const [from, to] = [state.against, state.moment].sort();
    if (from === to) return null;
    const found = await get("/risk/compare", { from, to, resolution, limit: 1000 });
    const rose = new Set(found.rose.concat(found.lost_sight).map((each) => each.cell));
    const fell = new Set(found.fell.concat(found.seen_again).map((each) => each.cell));
    this.told = element("span", { class: "told" }, t("compared", { from: clock(from), rose: found.counts.rose, fell: found.counts.fell, lost: found.counts.lost_sight }));
    return (cells) => ({ ...cells, features: cells.features.map((each) => ({ ...each, properties: { ...each.properties, change: rose.has(each.properties.cell) ? 1 : fell.has(each.properties.cell) ? -1 : 0 } })) });
  }

  /** The moment that is shown becomes the one that others are compared with. */
  compare() {
    if (state.against) {
      change({ against: "" });
      this.told = null;
      return this.past ? this.show() : this.draw();
    }
    change({ against: state.moment || new Date(now() - SPANS_S[this.span] * 1000).toISOString().slice(0, 19) + "Z", moment: state.moment || new Date(now() - 5000).toISOString().slice(0, 19) + "Z" });
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

  /** Every cell's level at each step of the span, once; playing then asks for nothing more. */
  async load() {
    const resolution = this.map.resolution;
    if (this.film?.resolution === resolution && this.film.span === this.span) return this.film;
    const to = new Date(now() - 2000);
    const { first } = await get("/risk/span");
    const from = new Date(Math.max(to - SPANS_S[this.span] * 1000, first ? Date.parse(first) + 1000 : 0));
    const step = Math.max(1, (to - from) / 1000 / FRAMES);
    const found = await get("/risk/frames", { from: from.toISOString(), to: to.toISOString(), step_s: step, resolution });
    const levels = new Map();
    const frames = found.frames.map(({ at, recorded, cells }) => {
      for (const [cell, level, score] of cells) levels.set(cell, { level, score });
      return { at: Date.parse(at), recorded, levels: new Map(levels) };
    });
    this.film = { resolution, span: this.span, frames, shapes: await get("/risk/cells", { resolution }) };
    return this.film;
  }

  /** A frame of the film, without asking the server. */
  still(at) {
    const { frames, shapes } = this.film;
    const frame = frames.findLast((each) => each.at <= at) ?? frames[0];
    const features = shapes.features.flatMap((each) => {
      const then = frame.recorded && frame.levels.get(each.properties.cell);
      return then?.level ? [{ ...each, properties: { ...each.properties, ...then } }] : [];
    });
    return this.map.show("cells", { type: "FeatureCollection", features });
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
        this.still(frames[at].at);
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
