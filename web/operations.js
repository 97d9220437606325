// In the administration: the rules in force with their changes and proposals, and where messages go with the delivery log.

import { get, post } from "./api.js";
import { city, networkName, quantityName } from "./city.js";
import { button, element } from "./element.js";
import { clock, named, number, t } from "./i18n.js";
import { badge } from "./levels.js";
import { pages, table } from "./table.js";

const LEVELS = ["blue", "yellow", "orange", "red"];

/** The limits of a rule by level, as badges with their values, and the unit of them all. */
function limits(found, unit = "") {
  if (!found || typeof found !== "object") return "–";
  const levels = LEVELS.filter((level) => found[level] !== undefined);
  return element("span", { class: "limits" }, ...levels.map((level) => element("span", {}, badge(level, 15), number(found[level]))), unit ? element("small", { class: "dim" }, unit.replace("m3", "m³")) : "");
}

/** What the limits of a rule are counted in; a learned detector's have no unit: its score, one where clean days end. @param {any} rule */
function unitOf({ detector, content }) {
  const measured = content.percent_of === "depth" ? t("percent_of_depth") : content.percent_of ? (content.quantity === "methane" ? "%LEL" : "%") : city.catalogue.quantities.find((each) => each.key === content.quantity)?.unit ?? "";
  return { threshold: measured, rate: `${measured}/min`, neighbours: "%LEL/min", overflow: "min", storm: "a" }[detector] ?? t("score");
}

/** The rules in force, and what is proposed for them. @param {any} on @param {() => void} again */
export async function rulesPage(on, again) {
  const [rules, overrides] = await Promise.all([get("/rules"), get("/rule-overrides")]);
  const about = (each) => named(each.content.title) || each.rule;
  const places = new Map();
  for (const each of overrides.items) places.set(each.rule, [...(places.get(each.rule) ?? []), each]);
  const columns = [
    [t("rule"), (each) => element("div", {}, element("b", {}, about(each)), element("small", { class: "dim" }, ` ${each.rule}`))],
    [t("network"), (each) => each.networks.map(networkName).join(", ") || t("all")],
    [t("measures"), (each) => quantityName(each.content.quantity) || "–"],
    [t("limits"), (each) => limits(each.content.limits ?? each.content.levels, unitOf(each))],
    [t("overrides"), (each) => (places.get(each.rule) ?? []).map((place) => `${place.target}${place.limits ? "" : ` ${t("off")}`}`).join(", ") || "–", "wide"],
    [t("version"), (each) => element("code", {}, each.version)],
  ];
  return [
    element("h3", {}, t("proposals")), pages("/rule-proposals", {}, proposalColumns(on, again), on.failed, t("no_proposals")),
    element("h3", {}, t("rules_in_force")), table(columns, rules.items),
  ];
}

function proposalColumns(on, again) {
  const decide = (each, verdict) => async () => {
    try {
      await post(`/rule-proposals/${each.id}/${verdict}`, {});
      again();
    } catch (error) {
      on.failed(error);
    }
  };
  const effect = (each) => (each.effect ? Object.entries(each.effect).filter(([, value]) => typeof value === "number").map(([name, value]) => `${name.replaceAll("_", " ")} ${number(value)}`).join(" · ") : t(`proposal_${each.state}`));
  return [
    [t("rule"), (each) => each.rule], [t("where"), (each) => each.target], [t("limits"), (each) => (each.action === "limits" ? limits(each.limits) : t(each.action === "off" ? "off" : "remove"))],
    [t("effect"), effect, "wide"], [t("by_whom"), (each) => `${each.proposed_by} · ${clock(each.proposed_at)}`],
    ["", (each) => (each.state === "evaluated" ? element("span", { class: "acts" }, button({ class: "act", onclick: decide(each, "accept") }, t("accept")), button({ class: "act", onclick: decide(each, "reject") }, t("reject"))) : t(`proposal_${each.state}`))],
  ];
}

/** Where messages go, how that went, and every delivery. @param {any} on @param {() => void} again */
export async function endpointsPage(on, again) {
  const { items } = await get("/endpoints");
  const test = (name) => async (event) => {
    event.target.disabled = true;
    try {
      await post(`/endpoints/${encodeURIComponent(name)}/test`, {});
      again();
    } catch (error) {
      on.failed(error);
    }
  };
  const columns = [
    [t("name"), (each) => element("span", { class: `alive ${each.enabled ? "" : "no"}`, title: each.disabled_reason }, each.name)], [t("address"), (each) => each.url, "wide"],
    [t("format"), (each) => each.format], [t("told_of"), (each) => [each.networks?.map(networkName).join(", ") ?? t("all"), each.zones?.join(", ")].filter(Boolean).join(" · ")],
    [t("delivered"), (each) => number(each.delivered), "number"], [t("pending"), (each) => number(each.pending), "number"],
    [t("failed"), (each) => element("span", { class: each.failed ? "wrong" : "" }, number(each.failed)), "number"],
    ["", (each) => button({ class: "act", onclick: test(each.name) }, t("send_test"))],
  ];
  return [table(columns, items, t("no_endpoints")), element("h3", {}, t("delivery_log")), deliveries({}, on.failed)];
}

/** The delivery log. @param {Record<string, unknown>} filter @param {(error: any) => void} failed */
export function deliveries(filter, failed) {
  return pages("/deliveries", filter, [
    [t("time"), (each) => clock(each.created_at)], [t("endpoint"), (each) => each.endpoint], [t("message"), (each) => each.type],
    [t("about"), (each) => (each.incident ? `${t("incident")} #${each.incident}` : each.alert ? `${t("alerts")} #${each.alert}` : "–")],
    [t("stands"), (each) => element("span", { class: each.state === "failed" ? "wrong" : "" }, t(`delivery_${each.state}`))],
    [t("attempts"), (each) => number(each.attempts), "number"],
    [t("answer"), (each) => [each.log[0]?.status_code, each.log[0]?.error].filter(Boolean).join(" ") || "–", "wide"],
  ], failed, t("no_deliveries"));
}

