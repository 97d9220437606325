// The shift report: what happened, how well the alarms served, how fast people answered, what could not be delivered.

import { get } from "./api.js";
import { city, levelName, networkName, now } from "./city.js";
import { button, element, icon } from "./element.js";
import { keepRows } from "./files.js";
import { handoverSection } from "./handover.js";
import { local, moment, named, number, place, span, t, wall, zoneName } from "./i18n.js";
import { placeOf, titleOf } from "./incidents.js";
import { LEVELS, badge } from "./levels.js";
import { momentField, momentOf, written } from "./moment.js";
import { deliveries } from "./operations.js";
import { figure, table } from "./table.js";

const SHIFT_HOURS = 8;
const MOST = 200;

/** The shift that runs now, or the last whole one: eight hours from 00:00, 08:00 and 16:00 by the city's clock. */
function shift(back) {
  const today = wall(now()).slice(0, 11);
  const hour = Math.floor(Number(wall(now()).slice(11, 13)) / SHIFT_HOURS) * SHIFT_HOURS;
  const begin = moment(`${today}${String(hour).padStart(2, "0")}:00`).getTime() - back * SHIFT_HOURS * 3_600_000;
  return [new Date(begin), new Date(Math.min(begin + SHIFT_HOURS * 3_600_000, now()))];
}

/** Open the report. @param {HTMLElement} parent @param {any} on */
export function open(parent, on) {
  let [from, to] = shift(0);
  const body = element("div", { class: "sheet" });
  const asked = () => {
    const [first, last] = [momentOf(start.value), momentOf(end.value)];
    if (first && last) choose(first, last);
    else (first ? end : start).reportValidity();
  };
  const field = (name, value) => momentField(name, written(value), { "aria-label": t(name), required: true, onchange: asked });
  const start = field("from", from);
  const end = field("to", to);
  const choose = (first, last) => {
    [from, to] = [first, last];
    for (const [each, at] of [[start, from], [end, to]]) {
      each.value = written(at);
      each.setCustomValidity("");
    }
    return show();
  };
  let turn = null;
  const show = async () => {
    const mine = (turn = {});
    if (!(to > from)) return body.replaceChildren(element("p", { class: "wrong" }, t("from_before_to")));
    try {
      const made = await sheet(from, to, on, show);
      if (turn === mine) body.replaceChildren(...made.filter(Boolean));
    } catch (error) {
      on.failed(error);
    }
    return null;
  };
  const header = element("header", {}, element("h2", {}, t("view_report")), element("span", { class: "grow" }),
    element("span", { class: "noprint pills" }, button({ class: "pill", onclick: () => choose(...shift(0)) }, t("this_shift")), button({ class: "pill", onclick: () => choose(...shift(1)) }, t("last_shift")), button({ class: "pill", onclick: () => choose(new Date(now() - 86_400_000), new Date(now())) }, t("span_24h"))),
    element("span", { class: "noprint period" }, start, "–", end), button({ class: "plain button noprint", title: t("print"), onclick: () => print() }, icon("print", 17), t("print")));
  parent.replaceChildren(element("div", { class: "document" }, header, body));
  show();
  return { close: () => (turn = null) };
}

/** Incidents that were open at any time of the period. */
async function incidentsOf(from, to) {
  const items = [];
  for (let after; items.length < MOST; ) {
    const page = await get("/incidents", { limit: 100, after });
    items.push(...page.items);
    const last = page.items.at(-1);
    after = page.next;
    if (!after || (last && new Date(last.opened_at) < from - 30 * 86_400_000)) break;
  }
  return items.filter((each) => new Date(each.opened_at) < to && (!each.closed_at || new Date(each.closed_at) >= from) && !each.merged_into);
}

const ninth = (seconds) => (typeof seconds === "number" ? t("p90_is", { age: span(seconds) }) : t("none_answered"));

const minutes = (seconds) => (seconds === null || seconds === undefined ? "–" : span(seconds));

async function sheet(from, to, on, again) {
  const period = { from: from.toISOString(), to: to.toISOString() };
  const [found, performance, cases, rules, handover] = await Promise.all([incidentsOf(from, to), get("/performance", period), get("/caseload"), get("/rules"), handoverSection(from, to, on, again)]);
  const { targets } = performance;
  const all = performance.clocks.find((each) => each.group === "all") ?? {};
  const fresh = found.filter((each) => new Date(each.opened_at) >= from);
  const open = found.filter((each) => each.state === "open");
  const late = cases.items.filter((each) => each.due_at && new Date(each.due_at) < now());
  const share = (value) => `${number(100 * value)} %`;
  return [
    element("p", { class: "said" }, `${t("shift_of", { city: city.catalogue.title, from: local(from), to: local(to) })} (${zoneName(to)})`),
    element("div", { class: "figures" },
      figure(t("new_incidents"), number(fresh.length), t("of_open", { n: open.length })),
      figure(t("steps_late"), number(late.length), t("now_open"), late.length > 0),
      figure("MTTA", minutes(all.mtta_s), ninth(all.p90_acknowledged_s)),
      figure("MTTR", minutes(all.mttr_s), ninth(all.p90_handled_s)),
      figure(t("rate"), number(performance.per_hour_per_operator), t("at_most", { n: number(targets.per_hour_per_operator) }), performance.per_hour_per_operator > targets.per_hour_per_operator),
      figure(t("flood"), share(performance.flood_share_of_time), t("at_most", { n: share(targets.flood_share_of_time) }), performance.flood_share_of_time > targets.flood_share_of_time)),
    ...handover,
    element("h3", {}, t("what_happened")), incidentTable(found, cases.items),
    element("div", { class: "two-columns" },
      element("div", {}, element("h3", {}, t("levels_of_alarms")), ...LEVELS.map((level) => shareBar(level, performance.levels[level] ?? 0, performance.annunciations))),
      element("div", {}, element("h3", {}, t("alarm_quality")), quality(performance, targets))),
    element("h3", {}, t("answer_times")), clocks(performance.clocks),
    performance.top.length ? element("h3", {}, t("top_sources")) : "", performance.top.length ? sources(performance.top, rules.items) : "",
    element("h3", {}, t("deliveries_failed")), deliveries({ state: "failed" }, on.failed),
    element("p", { class: "noprint" }, button({ class: "plain button", onclick: () => keep(found, from) }, icon("download", 16), t("as_csv"))),
  ];
}

function incidentTable(found, cases) {
  const steps = new Map(cases.map((each) => [each.incident, each]));
  const stands = (each) => (each.state === "closed" ? t("closed") : t(`step_${steps.get(each.id)?.step ?? "received"}`));
  return table([
    [t("level"), (each) => element("span", {}, badge(each.worst_level, 16), levelName(each.worst_level))], [t("place"), (each) => placeOf(each)], [t("what"), (each) => titleOf(each)],
    [t("network"), (each) => each.networks.map(networkName).join("+")], [t("opened"), (each) => local(each.opened_at)], [t("closed"), (each) => (each.closed_at ? local(each.closed_at) : "–")],
    [t("by_whom"), (each) => each.acknowledged_by ?? "–"], [t("stands"), stands],
  ], found, t("quiet_shift"));
}

function shareBar(level, count, all) {
  const fill = element("i");
  fill.style.width = `${all ? (100 * count) / all : 0}%`;
  return element("div", { class: `share ${level}` }, badge(level, 18), element("span", { class: "bar" }, fill), element("b", {}, number(count)));
}

function quality(performance, targets) {
  const rows = [
    [t("most_in_an_hour"), number(performance.most_per_hour_per_operator), number(targets.most_per_hour_per_operator), performance.most_per_hour_per_operator > targets.most_per_hour_per_operator],
    [t("chattering"), number(performance.chattering.length), number(targets.chattering), performance.chattering.length > targets.chattering],
    [t("fleeting"), number(performance.fleeting), number(targets.fleeting), performance.fleeting > targets.fleeting],
    [t("stale"), number(performance.stale.length), t("a_day", { n: number(targets.stale_per_day) }), performance.stale_per_day > targets.stale_per_day],
    [t("top_share"), `${number(100 * performance.top_share)} %`, `${number(100 * targets.top_ten_share)} %`, performance.top_share > targets.top_ten_share],
  ];
  return table([[t("measure"), ([name]) => name], [t("this_period"), ([, value, , bad]) => element("span", { class: bad ? "wrong" : "" }, value), "number"], [t("limit"), ([, , most]) => most, "number"]], rows);
}

function clocks(found) {
  const name = (each) => (each.group === "all" ? t("all") : each.group === "level" ? (LEVELS.includes(each.name) ? levelName(each.name) : each.name) : each.group === "network" ? networkName(each.name) : each.name || "–");
  return table([
    [t("group"), (each) => `${t(`group_${each.group}`)} ${each.group === "all" ? "" : name(each)}`], [t("alerts"), (each) => number(each.alerts), "number"],
    ["MTTA", (each) => minutes(each.mtta_s), "number"], [t("p90"), (each) => minutes(each.p90_acknowledged_s), "number"], [t("step_on_site"), (each) => minutes(each.mean_on_site_s), "number"],
    ["MTTR", (each) => minutes(each.mttr_s), "number"], [t("p90"), (each) => minutes(each.p90_handled_s), "number"],
  ], found);
}

/** Who asked most. @param {any[]} top @param {any[]} rules for their titles */
function sources(top, rules) {
  const titles = new Map(rules.map((each) => [each.rule, named(each.content.title)]));
  return table([[t("place"), (each) => place(each.place) || `${each.subject_kind} ${each.subject_id}`], [t("rule"), (each) => titles.get(each.rule) || each.rule], [t("network"), (each) => networkName(each.network)], [t("alerts"), (each) => number(each.annunciations), "number"]], top);
}

/** The incidents of the shift for a spreadsheet. */
function keep(found, from) {
  const rows = found.map((each) => [each.id, levelName(each.worst_level), placeOf(each), titleOf(each), each.networks.map(networkName).join("+"), each.opened_at, each.closed_at, each.acknowledged_by]);
  keepRows([["#", t("level"), t("place"), t("what"), t("network"), t("opened"), t("closed"), t("by_whom")], ...rows], `shift-${wall(from).replace(":", "")}`);
}
