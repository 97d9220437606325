// Why: the evidence of an alert as a sentence, and the causes of an incident with what speaks for and against each.

import { quantityName } from "./city.js";
import { button, element } from "./element.js";
import { named, number, place, span, t } from "./i18n.js";

/** The evidence as a sentence. @param {any} alert */
export function inWords(alert) {
  const { evidence = {}, unit } = alert;
  const of = (value) => number(value, evidence.unit || unit);
  const quantity = quantityName(evidence.quantity || alert.quantity);
  if (evidence.condition === "last_will") return t("last_will");
  if (evidence.silent_s !== undefined && evidence.silent_s !== null) return t("silence", { age: span(evidence.silent_s), longest: span(evidence.longest_silence_s ?? 0) });
  const values = { quantity, value: of(evidence.value), limit: of(evidence.limit), rate: of(evidence.rate), expected: of(evidence.expected) };
  const kind = evidence.rate !== undefined ? "rate" : typeof evidence.expected === "number" ? "unexpected" : evidence.limit !== undefined ? (evidence.condition === "below" ? "below" : "above") : "";
  const peak = typeof evidence.peak === "number" && evidence.peak !== evidence.value ? ` · ${t("peak", { value: of(evidence.peak) })}` : "";
  if (kind) return t(kind, values) + peak;
  return typeof evidence.value === "number" ? `${quantity} ${values.value}${peak}` : "";
}

const SKIPPED = new Set(["title", "advice", "quantity", "unit", "value", "limit", "expected", "condition", "peak", "detector", "at"]);

/** What the detector measured besides, plain and small: every number on the screen can be explained. */
export function details(alert) {
  const { evidence = {} } = alert;
  const flat = Object.entries(evidence).filter(([name, value]) => !SKIPPED.has(name) && value !== null && ["number", "string", "boolean"].includes(typeof value));
  const rows = flat.map(([name, value]) => [t(`ev_${name}`) === `ev_${name}` ? name.replaceAll("_", " ") : t(`ev_${name}`), typeof value === "number" ? number(value) : String(value)]);
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
  const lines = text.split(/(?<=[。;;])|(?<=[.;])\s+(?=[A-Z])/u).map((each) => each.trim()).filter(Boolean);
  return element("section", { class: "advice" }, element("h4", {}, t("advice")), element("ol", {}, ...lines.map((each) => element("li", {}, each))));
}
