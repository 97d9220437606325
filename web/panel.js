// The side panel: what is chosen, whatever it is. Its content is made by incident.js, alert.js, asset.js and cell.js.

import { button, element, icon, settle } from "./element.js";
import { badge } from "./levels.js";
import { levelName } from "./city.js";
import { t } from "./i18n.js";
import { Measurements } from "./measurements.js";

/** The button that takes the map there. @param {any} thing with longitude and latitude @param {any} on */
export function where(thing, on) {
  if (thing.longitude === null || thing.longitude === undefined) return "";
  return button({ class: "plain", title: `${t("show_on_map")} (m)`, "aria-label": t("show_on_map"), "data-act": "map", onclick: () => on.place(thing.longitude, thing.latitude) }, icon("pin", 18));
}

const TOLD = ".respond > .wrong"; // why an act was refused

export class Panel {
  /** @param {HTMLElement} parent @param {() => void} closed */
  constructor(parent, closed) {
    this.parent = parent;
    this.closed = closed;
    this.turn = null;
    this.measured = null; // {key, it}: kept while the same place is shown, so that its chart does not flicker
  }

  get open() {
    return !this.parent.hidden;
  }

  close() {
    this.turn = null;
    this.forget();
    this.parent.hidden = true;
    this.parent.replaceChildren();
  }

  /**
   * Fetch and draw; of two asked for at once the newer wins. A quiet drawing keeps what a person types, folds and reads.
   * @param {() => Promise<any>} fetch @param {(found: any) => Node[]} draw
   * @returns {Promise<any>} what was fetched
   */
  async show(fetch, draw, { quiet = false } = {}) {
    const turn = (this.turn = {});
    const found = await fetch();
    if (turn !== this.turn || (quiet && this.busy)) return found;
    const kept = quiet ? this.keep() : null;
    const made = draw(found).filter(Boolean);
    if (quiet) settle(this.parent, made);
    else this.parent.replaceChildren(...made);
    this.parent.hidden = false;
    if (kept) this.restore(kept);
    else {
      this.parent.scrollTop = 0;
      this.parent.focus({ preventScroll: true });
    }
    return found;
  }

  /** The sensors of a place; the same place again keeps its chart. @param {any[]} sensors @param {any} how of Measurements */
  measurements(sensors, how) {
    const key = sensors.map((each) => each.id).join(",");
    if (this.measured?.key === key && key) return this.measured.it.update(sensors, how.alerts);
    this.forget();
    this.measured = { key, it: new Measurements(sensors, how) };
    return this.measured.it.draw();
  }

  forget() {
    this.measured?.it.close();
    this.measured = null;
  }

  /** Somebody is writing or choosing here, or waits for an answer: nothing may be drawn under their hands. */
  get busy() {
    const focus = document.activeElement;
    return this.parent.contains(focus) && focus.matches("input, textarea, select") || Boolean(this.parent.querySelector(".respond[aria-busy='true'], details.act.more.shelve[open], details.act.more.assign[open], .fields textarea:not(:placeholder-shown)"));
  }

  keep() {
    const focus = this.parent.contains(document.activeElement) ? document.activeElement.dataset.act : null;
    return { scrolled: this.parent.scrollTop, focus, told: this.parent.querySelector(TOLD)?.textContent, open: [...this.parent.querySelectorAll("details")].map((each) => each.open) };
  }

  restore({ scrolled, focus, told, open }) {
    const telling = this.parent.querySelector(TOLD);
    if (telling && told && !telling.textContent) telling.textContent = told;
    const folds = [...this.parent.querySelectorAll("details")];
    if (folds.length === open.length) folds.forEach((each, at) => (each.open = open[at]));
    this.parent.scrollTop = scrolled;
    if (focus) (this.parent.querySelector(`[data-act="${focus}"]`) ?? this.parent).focus({ preventScroll: true });
  }

  /** The top of every panel. @param {string} level @param {string} title @param {string} subtitle */
  head(level, title, subtitle, ...more) {
    const close = button({ class: "plain close", title: `${t("close")} (Esc)`, "aria-label": t("close"), onclick: () => this.closed() }, icon("close", 16));
    const words = element("div", {}, element("h2", {}, title), element("p", {}, [level ? levelName(level) : "", subtitle].filter(Boolean).join(" · ")));
    return element("header", { class: level ?? "" }, level ? badge(level, 34) : "", words, ...more, close);
  }
}
