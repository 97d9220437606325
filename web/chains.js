// Chains between networks: what may follow from what is happening, in words and as lines on the map.

import { get } from "./api.js";
import { button, element } from "./element.js";
import { named, number, t } from "./i18n.js";
import { EMPTY } from "./mapstyle.js";

const MOST = 8;
/** @type {Map<string, Promise<number[] | null>>} */
const places = new Map();

/** The middle of a geometry. @param {any} geometry @returns {number[] | null} */
export function middleOf(geometry) {
  const points = geometry?.coordinates?.flat(Infinity) ?? [];
  const at = 2 * Math.floor(points.length / 4);
  return points.length ? points.slice(at, at + 2) : null;
}

/** Where an asset is; null for one without a place. @param {string} id @returns {Promise<number[] | null>} */
export function placeOfAsset(id) {
  if (!places.has(id)) places.set(id, get(`/assets/${encodeURIComponent(id)}`).then((found) => middleOf(found.geometry), () => null));
  return places.get(id);
}

/** The section of a panel: each chain from its source over its links to its effect. @param {any[]} chains @param {any} on */
export function chainsSection(chains, on) {
  if (!chains.length) return "";
  const step = (id, words) => button({ class: "link", onclick: () => on.asset(id) }, id, words ? element("small", {}, ` ${words}`) : "");
  const percent = (share) => (share < 0.01 ? "< 1 %" : `${number(Math.round(share * 100))} %`);
  const rows = chains.slice(0, MOST).map((each) => element("li", {},
    step(each.source), ...each.links.flatMap((link) => [element("i", { "aria-hidden": "true" }, " → "), step(link.asset, `${named(link.title)} ${percent(link.likelihood)}`)]),
    element("i", { "aria-hidden": "true" }, " → "), element("strong", {}, named(each.effect.title)),
    element("small", { class: "meta" }, ` ${t("chain_weight", { product: percent(each.product), risk: number(each.risk) })}`)));
  return element("section", { class: "chains" }, element("h4", {}, t("chains")), element("ol", {}, ...rows));
}

/** The chains as lines between the assets that they run over. @param {any[]} chains */
export async function tracesOf(chains) {
  if (!chains.length) return EMPTY;
  const lines = await Promise.all(chains.slice(0, MOST).map((each) => Promise.all([each.source, ...each.links.map((link) => link.asset)].map(placeOfAsset))));
  const features = lines.map((points) => points.filter(Boolean)).filter((points) => points.length).map((points) => ({ type: "Feature", properties: {}, geometry: points.length > 1 ? { type: "LineString", coordinates: points } : { type: "Point", coordinates: points[0] } }));
  return { type: "FeatureCollection", features };
}
