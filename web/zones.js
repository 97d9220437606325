// Zones that were suggested by standing risk: looked at, edited on the map, accepted or rejected.

import { get, post } from "./api.js";
import { networkName } from "./city.js";
import { button, element } from "./element.js";
import { fileButton, keepMap } from "./files.js";
import { number, place, t } from "./i18n.js";
import { EMPTY } from "./mapstyle.js";

/** What the suggestion was measured by, in the words of the page. */
const WHY = { mean: "mean_score", score: "max_score", cells: "cells", length_m: "length", customers: "customers" };
const TITLE = { risk_control: "zone_risk_control", resilience: "zone_resilience" };

const metres = (length) => (length < 1000 ? number(length, "m") : number(length / 1000, "km"));

const asCollection = (zones) => ({ type: "FeatureCollection", features: zones.map(({ geometry, ...properties }) => ({ type: "Feature", geometry, properties })) });

/** The tab of the renewal. @param {any} view with map, failed, looking() and again() */
export async function zonesPage(view) {
  const { items } = await get("/zones/suggestions");
  const wrong = element("p", { class: "wrong", role: "alert" });
  const editor = element("div", { class: "drawn" });
  const told = (error) => (wrong.textContent = error.status === 403 ? t("need_engineer") : error.status === 409 ? t("conflict") : error.message);
  const find = () => post("/zones/suggestions", {}).then(view.again, told);
  await view.map.show("suggested", asCollection(items));
  const rows = items.map((each) => element("li", {}, button({ class: "plan", "data-zone": each.id, onclick: () => editor.replaceChildren(...edit(each, view, told)) }, element("strong", {}, place(each.name)),
    element("small", { class: "rule" }, `${[t(TITLE[each.kind] ?? each.kind), networkName(each.network)].filter(Boolean).join(" · ")} · ${t("zone_holds", { assets: number(each.assets), length: metres(each.length_m) })}`))));
  return [
    element("p", { class: "meta hint" }, t("zones_hint")),
    element("div", { class: "acts" }, button({ class: "plain button", "data-act": "suggest", onclick: find }, t("zones_find")), items.length ? fileButton("GeoJSON", () => keepMap(asCollection(items), "suggested-zones")) : ""),
    wrong, editor, rows.length ? element("ul", { class: "plans" }, ...rows) : element("p", { class: "empty" }, t("zones_none")),
  ];
}

/** Leave the map as it was. @param {any} map */
export function closeZones(map) {
  map.corners(null);
  map.show("suggested", EMPTY);
}

/** One suggestion: its name, its corners on the map, and the decision. */
function edit(zone, view, told) {
  let geometry = null; // as it was moved; null: as it was suggested
  const name = element("input", { id: "zone-name", maxlength: "200", value: zone.name });
  const decide = (how, body) => post(`/zones/suggestions/${encodeURIComponent(zone.id)}/${how}`, body).then(() => { closeZones(view.map); view.again(); view.decided(); }, told);
  const accepted = () => decide("accept", { ...(name.value.trim() !== zone.name ? { name: name.value.trim() } : {}), ...(geometry ? { geometry } : {}) });
  view.map.corners(zone.geometry, (moved) => {
    geometry = moved;
    view.map.show("suggested", asCollection([{ ...zone, geometry: moved }]));
  });
  view.map.show("suggested", asCollection([zone]));
  const points = zone.geometry.coordinates.flat(Infinity);
  const side = (from, pick) => pick(...points.filter((_, at) => at % 2 === from));
  view.map.fit([side(0, Math.min), side(1, Math.min), side(0, Math.max), side(1, Math.max)]);
  const why = Object.entries(zone.attributes).filter(([name, value]) => WHY[name] && typeof value === "number");
  return [element("section", { class: "figures-of-plan" }, element("label", { for: "zone-name" }, t("name"), name), element("p", { class: "meta" }, t("zone_corners")),
    element("dl", {}, ...why.flatMap(([key, value]) => [element("dt", {}, t(WHY[key])), element("dd", {}, key === "length_m" ? metres(value) : number(value))])),
    element("div", { class: "acts" }, button({ class: "act primary", "data-act": "accept", onclick: accepted }, t("accept")), button({ class: "act", "data-act": "reject", onclick: () => decide("reject") }, t("reject"))))];
}
