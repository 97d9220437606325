// What the search finds beside the list: assets of the whole city, by a part of their id, their street or a device there.

import { get } from "./api.js";
import { networkName } from "./city.js";
import { button, element } from "./element.js";
import { lang, place, t } from "./i18n.js";

const MOST = 8;
const REST_MS = 250; // no request for every letter
const SHORTEST = 2;

export class Search {
  /** @param {HTMLElement} parent @param {{open: (asset: string) => void, failed: (error: Error) => void}} on */
  constructor(parent, on) {
    this.parent = parent;
    this.on = on;
    this.asked = "";
    this.timer = 0;
    this.answered = Promise.resolve(); // once what stands there was found for the words that are asked for
    this.answer = () => {};
  }

  /** Look for these words; the same again asks for nothing, and of two the newer wins. @param {string} words @param {string} network */
  find(words, network) {
    const wanted = words.trim();
    const key = `${wanted}|${network}|${lang()}`;
    if (wanted.length >= SHORTEST && key === this.asked) return;
    this.asked = key;
    clearTimeout(this.timer);
    this.answer();
    if (wanted.length < SHORTEST) return this.draw([]);
    this.answered = new Promise((resolve) => { this.answer = resolve; });
    this.timer = setTimeout(() => this.ask(wanted, network, key), REST_MS);
  }

  async ask(wanted, network, key) {
    try {
      const { items } = await get("/assets", { find: wanted, network, limit: MOST });
      if (key !== this.asked) return;
      this.draw(items);
    } catch (error) {
      if (key === this.asked) this.draw([]);
      this.on.failed(error);
    }
    if (key === this.asked) this.answer();
  }

  draw(assets) {
    this.parent.hidden = !assets.length;
    this.parent.setAttribute("aria-label", t("found_assets"));
    const row = (each) => element("li", {}, button({ class: "member", "data-asset": each.id, onclick: () => this.on.open(each.id) },
      element("span", {}, place(each.name) || each.id, element("small", {}, `${networkName(each.network)} · ${t(each.kind)}`)), element("span", { class: "state" }, each.id)));
    this.parent.replaceChildren(element("h4", {}, t("found_assets")), element("ul", {}, ...assets.map(row)));
  }
}
