// An asset or a lone sensor in the panel: its open alerts, its measurements, its risk by parts, what it is; and a cell.

import { get } from "./api.js";
import { chainsSection } from "./chains.js";
import { levelName, networkName } from "./city.js";
import { button, element } from "./element.js";
import { number, place, t, valueName } from "./i18n.js";
import { stateName, titleOf } from "./incidents.js";
import { badge } from "./levels.js";
import { ifClosed } from "./resilience.js";

/** @param {{asset?: string, sensor?: string}} chosen */
export async function fetchAsset({ asset, sensor }) {
  const filter = asset ? { asset } : { sensor };
  const [thing, risk, open, single] = await Promise.all([
    asset ? get(`/assets/${encodeURIComponent(asset)}`) : null,
    asset ? get(`/risk/assets/${encodeURIComponent(asset)}`) : null,
    get("/alerts", { ...filter, state: "open", order: "worst", limit: 20 }),
    !asset && sensor ? get(`/sensors/${sensor}`) : null,
  ]);
  return { thing, risk, alerts: open.items, sensors: thing?.sensors ?? (single ? [single] : []), sensor: Number(sensor) || null };
}

/** @param {any} found of fetchAsset @param {any} panel @param {any} on */
export function drawAsset({ thing, risk, alerts, sensors, sensor }, panel, on) {
  const first = thing ?? sensors[0];
  const title = place(thing?.name ?? sensors[0]?.name) || thing?.id || "";
  const subtitle = [first && networkName(first.network), thing && t(thing.kind), thing?.id ?? sensors[0]?.device].filter(Boolean).join(" · ");
  return [
    panel.head(risk?.level ?? alerts[0]?.level ?? null, title, subtitle),
    openAlerts(alerts, on),
    panel.measurements(sensors, { chosen: sensor, alerts, failed: on.failed }),
    risk ? parts(risk) : "",
    chainsSection(risk?.chains ?? [], on),
    thing ? ifClosed(thing, on) : "",
    sensors.length ? coverage(sensors) : "",
    thing ? facts(thing) : "",
  ];
}

function openAlerts(alerts, on) {
  if (!alerts.length) return "";
  const rows = alerts.map((each) => element("li", {}, button({ class: `member ${each.level}`, "data-alert": each.id, onclick: () => on.alert(each.id) }, badge(each.level, 18), element("span", {}, titleOf(each)), element("span", { class: `state ${each.state}` }, stateName(each.state)))));
  return element("section", {}, element("h4", {}, t("alerts")), element("ul", { class: "members" }, ...rows));
}

const PART_UNITS = { diameter: "mm", length: "m" };

/** What a part of the risk was reckoned from, with its unit. */
function value({ part, value: found }) {
  if (found === null || found === undefined || typeof found === "object") return "";
  if (found === true) return t("yes");
  if (typeof found !== "number") return valueName(part, String(found));
  if (part === "mean") return t("per_km_year", { n: number(found) });
  if (part === "age") return t("years_n", { n: number(found) });
  if (part === "supply") return `${number(100 * found)} %`;
  return number(found, PART_UNITS[part]);
}

/** The points of the parts add up to the score. */
function parts(risk) {
  const bar = (part) => {
    const fill = element("i", { class: part.points < 0 ? "less" : "" });
    fill.style.width = `${Math.min(100, Math.abs(part.points))}%`;
    const name = t(part.part === "live" ? "live_part" : `part_${part.part}`);
    return element("tr", {}, element("th", { scope: "row" }, name.startsWith("part_") ? part.part.replaceAll("_", " ") : name, element("small", {}, value(part))), element("td", {}, element("div", { class: "bar" }, fill)), element("td", { class: "points" }, `${part.points >= 0 ? "+" : "−"}${Math.abs(part.points).toFixed(1)}`));
  };
  const score = risk.score === null ? t("not_assessed") : element("span", { class: "score" }, element("b", {}, risk.score.toFixed(0)), " / 100");
  return element("section", { class: "risk" }, element("h4", {}, t("risk_parts")), element("p", {}, badge(risk.level, 22), ` ${levelName(risk.level)} `, score), element("table", {}, element("tbody", {}, ...risk.parts.map(bar))));
}

function coverage(sensors) {
  const silent = sensors.filter((each) => each.silent).length;
  const words = silent === 0 ? t("coverage_live") : silent === sensors.length ? t("coverage_silent") : t("coverage_some", { n: silent, of: sensors.length });
  return element("section", {}, element("h4", {}, t("coverage")), element("p", { class: silent ? "silence" : "" }, words));
}

function facts(thing) {
  const rows = [
    ["material", thing.material && valueName("material", thing.material)], ["diameter", thing.diameter_mm && `${number(thing.diameter_mm)} mm`], ["install_year", thing.install_year],
    ["length", thing.length_m && number(thing.length_m, "m")], ["depth", thing.depth_m && number(thing.depth_m, "m")], ["customers", thing.customers && number(thing.customers)],
    ["critical", thing.critical && t("yes")], ["from_to", thing.from_asset && `${thing.from_asset} → ${thing.to_asset ?? ""}`],
  ].filter(([, each]) => each);
  return element("section", {}, element("h4", {}, t("facts")), element("dl", {}, ...rows.flatMap(([name, each]) => [element("dt", {}, t(name)), element("dd", {}, String(each))])));
}

/** A hexagon explained. @param {string} cell */
export const fetchCell = (cell) => get(`/risk/cells/${encodeURIComponent(cell)}`);

/** A hexagon: why it has its colour, and what may follow from it. @param {any} properties @param {any} panel @param {any} on */
export function drawCell(properties, panel, on) {
  const reason = (each) => each.reason === "alert"
    ? button({ class: "reason", onclick: () => on.alert(each.alert) }, badge(each.level, 16), each.rule)
    : each.asset ? button({ class: "reason", onclick: () => on.asset(each.asset) }, `${t(`part_${each.part}`).replace(/^part_/, "")} +${(each.points ?? 0).toFixed(1)}`, element("small", {}, each.asset)) : "";
  const rows = [
    ["max_score", number(properties.score)], ["mean_score", number(properties.mean)], ["coverage", t(`coverage_${properties.coverage}`)], ["cell_assets", properties.assets],
    ["cell_length", number(properties.length_m, "m")], ["cell_sensors", properties.sensors_silent ? `${properties.sensors} (${t("silent")} ${properties.sensors_silent})` : properties.sensors],
  ].filter(([, each]) => each !== undefined && each !== null);
  return [
    panel.head(properties.level, t("cell"), properties.cell),
    properties.level === "unknown" ? element("section", {}, element("p", { class: "said" }, t("unknown_hint"))) : "",
    element("section", {}, element("h4", {}, t("reasons")), element("div", { class: "reasons" }, ...(properties.reasons ?? []).map(reason))),
    worstOf(properties.worst ?? [], on),
    chainsSection(properties.chains ?? [], on),
    element("section", {}, element("dl", {}, ...rows.flatMap(([name, each]) => [element("dt", {}, t(name)), element("dd", {}, String(each))]))),
  ];
}

function worstOf(assets, on) {
  if (!assets.length) return "";
  const rows = assets.map((each) => element("li", {}, button({ class: `member ${each.level}`, onclick: () => on.asset(each.asset) }, badge(each.level, 18), element("span", {}, each.asset, element("small", {}, `${networkName(each.network)} · ${t(each.kind)}`)), element("b", {}, number(Math.round(each.score))))));
  return element("section", {}, element("h4", {}, t("worst_here")), element("ul", { class: "members" }, ...rows));
}
