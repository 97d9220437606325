// Why: the evidence of an alert as a sentence, and the causes of an incident with what speaks for and against each.

import { quantityName } from "./city.js";
import { button, element } from "./element.js";
import { clock, named, number, place, span, t, valueName } from "./i18n.js";
import { LEVELS } from "./levels.js";

/** The evidence as a sentence; of what is over that of its worst moment, and how it is now. What goes on is told by its
    peak where the newest value happens to be within the limit: evidence is of when the level last changed. @param {any} alert */
export function inWords(alert) {
  const { evidence = {}, unit } = alert;
  const over = alert.state === "RTNUN" || Boolean(alert.closed_at);
  const worst = over && typeof evidence.expected === "number" ? worstMoment(alert.history ?? []) : null;
  return worst ? `${sentence(alert, worst, over)} · ${t("as_usual_again", { value: number(evidence.value, evidence.unit || unit) })}` : sentence(alert, evidence, over);
}

/** The newest evidence of the worst level that was reached. */
function worstMoment(history) {
  const told = history.filter((each) => each.to_level && typeof each.evidence?.expected === "number" && ["raised", "raised_again", "escalated"].includes(each.action));
  const rank = (each) => LEVELS.indexOf(each.to_level);
  return told.sort((a, b) => rank(a) - rank(b) || Date.parse(b.at) - Date.parse(a.at))[0]?.evidence ?? null;
}

function sentence(alert, evidence, over) {
  const { unit } = alert;
  const of = (value) => number(value, evidence.unit || unit);
  const quantity = quantityName(evidence.quantity || alert.quantity);
  if (evidence.condition === "last_will") return t("last_will");
  if (evidence.silent_s !== undefined && evidence.silent_s !== null) return t("silence", { age: span(evidence.silent_s), longest: span(evidence.longest_silence_s ?? 0) });
  const values = { quantity, value: of(evidence.value), limit: of(evidence.limit), rate: of(evidence.rate), expected: of(evidence.expected) };
  const kind = evidence.rate !== undefined ? "rate" : typeof evidence.expected === "number" ? "unexpected" : evidence.limit !== undefined ? (evidence.condition === "below" ? "below" : "above") : "";
  const within = typeof evidence.value === "number" && typeof evidence.limit === "number" && ((kind === "below" && evidence.value > evidence.limit) || (kind === "above" && evidence.value < evidence.limit));
  if (within && !over && typeof evidence.peak === "number") return t(kind, { ...values, value: of(evidence.peak) });
  const peak = typeof evidence.peak === "number" && evidence.peak !== evidence.value ? ` · ${t(kind === "below" ? "lowest" : "peak", { value: of(evidence.peak) })}` : "";
  if (kind) return t(within ? "within" : kind, values) + peak;
  return typeof evidence.value === "number" ? `${quantity} ${values.value}${peak}` : "";
}

const SKIPPED = new Set(["title", "advice", "quantity", "unit", "value", "limit", "expected", "condition", "peak", "detector", "at"]);

/** Units of figures that are not in the unit of the alert's value; those of OWN are. */
const UNITS = {
  level: "m", start_level: "m", cover: "m", full_from: "m", rise_per_hour: "m/h", minutes_to_overflow: "min", rain_mm_in_4_h: "mm", methane: "%VOL", hours: "h",
  fallen_mm: "mm", within_minutes: "min", mm_of_one_year: "mm", comes_once_in_years: "a", median_lateness: "s", least_lateness: "s", leak_estimate: "m3/h",
};
const OWN = new Set(["fall", "fallen_most_on_clean_days", "high_in_dry_weather", "drift", "noise", "usual_noise", "least_range_on_clean_days"]);
const WORDED = new Set(["expected_by", "fault", "cause"]);

/** One figure of the evidence with its unit, in the person's language. */
function figure(name, value, unit) {
  if (typeof value === "boolean") return t(value ? "yes" : "no");
  if (typeof value === "string") return WORDED.has(name) ? valueName(name, value) : name === "last_heard" ? clock(value) : value;
  if (name.endsWith("_s")) return span(value);
  return number(value, UNITS[name] ?? (OWN.has(name) ? unit : ""));
}

/** What the detector measured besides, plain and small: every number on the screen can be explained. */
export function details(alert) {
  const { evidence = {} } = alert;
  const flat = Object.entries(evidence).filter(([name, value]) => !SKIPPED.has(name) && value !== null && ["number", "string", "boolean"].includes(typeof value));
  const rows = flat.map(([name, value]) => [valueName("ev", name), figure(name, value, evidence.unit || alert.unit)]);
  rows.unshift([t("rule"), `${alert.rule} · ${alert.rule_version}`]);
  return element("details", { class: "quiet" }, element("summary", {}, t("details")), element("dl", {}, ...rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])));
}

function sign(each, chooseAlert) {
  const beside = each.beside?.name || each.beside?.asset ? element("small", {}, `${place(each.beside.name) || each.beside.asset} · ${number(each.beside.distance_m, "m")}`) : "";
  const alerts = (each.alerts ?? []).slice(0, 3).map((id) => button({ class: "link", onclick: () => chooseAlert(id) }, `#${id}`));
  return element("li", { class: each.weight < 0 ? "against" : "for" }, element("span", {}, named(each.why)), " ", ...alerts, beside);
}

/**
 * Likely causes, the likeliest open. @param {any[]} causes @param {(id: number) => void} chooseAlert
 */
export function causes(ranked, chooseAlert) {
  return ranked.slice(0, 3).map((cause, at) => {
    const bar = element("i");
    bar.style.width = `${Math.round((cause.share ?? 0) * 100)}%`;
    const signs = [...(cause.for ?? []), ...(cause.against ?? [])];
    return element("details", { class: "cause", open: at === 0 },
      element("summary", {}, element("span", {}, named(cause.title)), element("span", { class: "bar", "aria-hidden": "true" }, bar), element("b", {}, `${Math.round((cause.share ?? 0) * 100)} %`)),
      element("p", { class: "meta" }, t("explains", { n: cause.explains ?? 0 }), cause.cross_network ? ` · ${t("cross_network")}` : ""),
      signs.length ? element("ul", { class: "signs" }, ...signs.map((each) => sign(each, chooseAlert))) : "");
  });
}

/** What to do. Sentences become lines, so that they can be read at a glance. @param {any} words `{zh, en}` */
export function advice(words) {
  const text = named(words);
  if (!text) return "";
  const lines = text.split(/(?<=[。；;])|(?<=[.;])\s+(?=[A-Z])/u).map((each) => each.trim()).filter(Boolean);
  return element("section", { class: "advice" }, element("h4", {}, t("advice")), element("ol", {}, ...lines.map((each) => element("li", {}, each))));
}
