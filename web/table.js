// Plain tables with a page after the other; rows come as they are asked for.

import { get } from "./api.js";
import { button, element } from "./element.js";
import { t } from "./i18n.js";

/**
 * A table. @param {[string, (row: any) => any, string?][]} columns heading, cell, class @param {any[]} rows @param {string} [empty] what to say of none
 */
export function table(columns, rows, empty = t("none")) {
  if (!rows.length) return element("p", { class: "dim" }, empty);
  const head = element("tr", {}, ...columns.map(([name, , kind]) => element("th", { scope: "col", class: kind }, name)));
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": columns[0][0] }, element("table", { class: "plain-table" }, element("thead", {}, head), element("tbody", {}, ...rows.map((row) => line(columns, row)))));
}

const line = (columns, row) => element("tr", {}, ...columns.map(([, cell, kind]) => element("td", { class: kind }, cell(row))));

/**
 * A table that grows by a page with each press. @param {string} path @param {Record<string, unknown>} parameters
 * @param {[string, (row: any) => any, string?][]} columns @param {(error: any) => void} failed @param {string} [empty]
 */
export function pages(path, parameters, columns, failed, empty) {
  const place = element("div", { class: "pages" }, element("p", { class: "dim" }, t("loading")));
  const more = async (after, body) => {
    try {
      const found = await get(path, { limit: 50, ...parameters, after });
      let rows = body;
      if (!rows) {
        const made = table(columns, found.items, empty);
        place.replaceChildren(made);
        rows = made.querySelector("tbody");
      } else rows.append(...found.items.map((row) => line(columns, row)));
      place.querySelector(".more-rows")?.remove();
      if (found.next) place.append(button({ class: "plain more-rows", onclick: () => more(found.next, rows) }, t("more")));
    } catch (error) {
      place.replaceChildren(element("p", { class: "wrong" }, error.status === 403 ? t("need_role") : error.message));
      if (error.status !== 403) failed(error);
    }
  };
  more();
  return place;
}

/** A figure with its name below, and what it should be at most. @param {string} name @param {string} value @param {string} [hint] @param {boolean} [bad] */
export const figure = (name, value, hint = "", bad = false) => element("div", { class: `figure ${bad ? "bad" : ""}` }, element("b", {}, value), element("span", {}, name), hint ? element("small", {}, hint) : "");
