// Beside the map: the levels with their live counts, and the switches of the layers.

import { city, levelName, networkName } from "./city.js";
import { button, byId, element, icon, settle } from "./element.js";
import { fileButton, keepMap, keepRows } from "./files.js";
import { t } from "./i18n.js";
import { ALL, badge } from "./levels.js";
import { change, state } from "./state.js";

export const hidden = () => new Set(state.off.split(",").filter(Boolean));

/** @param {number} resolution of the cells that the map shows */
export function drawLegend(resolution) {
  if (!city.summary) return;
  const cells = city.summary.cells[resolution] ?? {};
  const rows = ALL.map((level) => element("tr", { class: cells[level] || city.summary.segments[level] ? "" : "none" },
    element("th", { scope: "row" }, element("span", {}, badge(level, 16), levelName(level))), element("td", {}, cells[level] ?? 0), element("td", {}, city.summary.segments[level])));
  const head = element("tr", {}, element("th", { scope: "col" }, t("legend")), element("th", { scope: "col" }, t("cells")), element("th", { scope: "col" }, t("pipes")));
  settle(byId("legend"), [element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)), element("p", {}, t("unknown_hint"))]);
}

/** @param {any} map @param {() => void} fit @param {Record<string, number>} [more] layers that this city has beside the usual ones, and how much is on each */
export function drawLayers(map, fit, more = {}) {
  const off = hidden();
  const networks = city.catalogue.networks.map((each) => each.key);
  const toggle = (name) => () => {
    if (!off.delete(name)) off.add(name);
    change({ off: [...off].join(",") });
    map.filter(off, state.network);
    drawLayers(map, fit, more);
  };
  const title = (name) => (networks.includes(name) ? networkName(name) : t(name));
  const switches = ["cells", ...networks, "sensors", "alerts", ...Object.keys(more)].map((name) => button({ class: `layer ${name}`, "aria-pressed": String(!off.has(name)), onclick: toggle(name) }, element("i", { class: `sample ${name}` }, name === "reports" ? icon("report_mark", 18) : ""), title(name), more[name] ? element("b", {}, more[name]) : ""));
  byId("layers").setAttribute("role", "group");
  byId("layers").setAttribute("aria-label", t("layers"));
  const unfold = button({ class: "unfold", "aria-label": t("layers"), "aria-expanded": String(byId("layers").classList.contains("open")), onclick: () => unfold.setAttribute("aria-expanded", String(byId("layers").classList.toggle("open"))) }, icon("layers", 17), element("span", {}, t("layers")));
  byId("layers").replaceChildren(unfold, ...switches, button({ class: "layer fit", onclick: fit }, icon("fit", 16), t("fit")),
    element("div", { class: "files" }, fileButton("CSV", () => keepRows(entriesOnScreen(), "incidents")), fileButton("GeoJSON", () => keepMap(map.data.cells, "risk-cells"))));
}

/** The list as it stands there: kind, number, level, place, what, age and deadline. */
function entriesOnScreen() {
  const rows = [...byId("entries").querySelectorAll(".row")].map((row) => {
    const text = (of) => row.querySelector(of)?.textContent ?? ""; // innerText is empty where a row is out of sight
    return [row.dataset.kind, row.dataset.id, row.querySelector(".unseen").textContent, text("strong"), text(".rule"), text(".network"), text(".state"), row.querySelector("time").dateTime, text(".due")];
  });
  return [["kind", "id", "level", "place", "what", "network", "step", "since", "due"], ...rows];
}
