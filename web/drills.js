// Drills: start a scenario beside the real city, go to the exercise's own page, and read what came of it.

import { download, get, post } from "./api.js";
import { levelName, networkName, now } from "./city.js";
import { button, element, icon } from "./element.js";
import { clock, half, lang, local, named, number, place, span, t } from "./i18n.js";
import { change, state } from "./state.js";
import { figure, table } from "./table.js";

const LOOK_MS = 3000;
const STEPS = ["confirmed", "dispatched", "on_site", "handled", "fed_back"];
const HAPPENINGS = { began: "drill_began", visible: "drill_visible", ended: "drill_ended", alert: "drill_alert", acknowledged: "acknowledged_action" };

/** Open the drills. @param {HTMLElement} parent @param {{failed: (error: any) => void}} on */
export function open(parent, on) {
  const form = element("div", { class: "noprint" });
  const body = element("div", { class: "sheet" });
  let drawn = "";
  const show = async ({ again = false } = {}) => {
    try {
      const [found, whole] = await Promise.all([get("/drills", { limit: 20 }), state.tab ? get(`/drills/${state.tab}`) : null]);
      const text = JSON.stringify([found, whole, lang()]);
      if (text === drawn && !again) return;
      drawn = text;
      const chosen = (id) => { change({ tab: String(id) }); show(); };
      body.replaceChildren(list(found.items, chosen, () => show({ again: true }), on), ...(whole ? report(whole, on) : [schedules(await get("/drills/schedules"))]));
    } catch (error) {
      on.failed(error);
    }
  };
  const begin = async () => {
    const [scenarios, found, me] = await Promise.all([get("/drills/scenarios"), get("/drills", { limit: 1 }), get("/me")]);
    const may = ["operator", "engineer", "admin"].includes(me.role);
    form.replaceChildren(may ? starter(scenarios, found.supervised, await endpointNames(), (id) => { change({ tab: String(id) }); show(); }, on) : "");
  };
  parent.replaceChildren(element("div", { class: "document" }, element("header", {}, element("h2", {}, t("view_drills"))), element("p", { class: "meta" }, t("drills_hint")), form, body));
  show();
  begin().catch(on.failed);
  const timer = setInterval(show, LOOK_MS);
  return { close: () => clearInterval(timer) };
}

/** Names of endpoints, for those who may see them. */
async function endpointNames() {
  const found = await get("/endpoints").catch((error) => { if (error.status === 403) return { items: [] }; throw error; });
  return found.items.map((each) => each.name);
}

// ------------------------------------------------------------------------------------------------------------- starting

function starter(scenarios, supervised, endpoints, made, on) {
  if (!supervised || !scenarios.length) return element("p", { class: "said" }, t("drills_nobody"));
  const labelled = (name, input) => element("label", { class: "drill-field" }, element("span", {}, t(name)), input);
  const scenario = element("select", { name: "scenario" }, ...scenarios.map((each) => element("option", { value: each.name }, `${half(each.title)} · ${each.name}`)));
  const minutes = element("input", { name: "minutes", type: "number", min: "1", max: "1440", value: "30", required: true });
  const speed = element("input", { name: "speed", type: "number", min: "0.1", max: "100", step: "any", value: "1", required: true });
  const teams = element("div", { class: "drill-teams" });
  const add = () => teams.append(teamRow(endpoints));
  add();
  const wrong = element("p", { class: "wrong", role: "alert" });
  const send = async (event) => {
    event.preventDefault();
    wrong.textContent = "";
    try {
      made((await post("/drills", { scenario: scenario.value, lasts_s: 60 * Number(minutes.value), speed: Number(speed.value), teams: teamsOf(teams) })).id);
    } catch (error) {
      if (error.status) wrong.textContent = error.status === 403 ? t("need_role") : error.message;
      else on.failed(error);
    }
  };
  return element("form", { class: "drill-form", onsubmit: send },
    element("div", { class: "drill-line" }, labelled("drill_scenario", scenario), labelled("drill_minutes", minutes), labelled("drill_speed", speed)),
    teams, element("div", { class: "drill-line" }, button({ class: "plain button", onclick: add }, t("drill_add_team")), element("button", { class: "primary" }, icon("play", 16), t("drill_start"))), wrong);
}

function teamRow(endpoints) {
  const field = (name, type, more = {}) => element("input", { name, type, placeholder: t(`drill_${name}`), "aria-label": t(`drill_${name}`), ...more });
  const choice = (name, options) => element("select", { name, "aria-label": t(`drill_${name}`) }, ...options.map(([value, words]) => element("option", { value }, words)));
  const row = element("div", { class: "drill-line drill-team" }, field("team", "text", { maxlength: "100", required: true }),
    choice("endpoint", [["", t("drill_page_alone")], ...endpoints.map((name) => [name, name])]),
    field("task", "text", { maxlength: "200" }), choice("step", STEPS.map((step) => [step, t(`step_${step}`)])), field("within", "number", { min: "1", max: "1440", step: "any" }),
    button({ class: "plain", title: t("close"), "aria-label": t("close"), onclick: () => row.parentElement.children.length > 1 && row.remove() }, icon("close", 16)));
  return row;
}

/** Rows that name the same team are its tasks. */
function teamsOf(parent) {
  const teams = new Map();
  for (const row of parent.children) {
    const of = (name) => row.querySelector(`[name=${name}]`).value.trim();
    const team = teams.get(of("team")) ?? { name: of("team"), endpoint: of("endpoint"), tasks: [] };
    if (of("task")) team.tasks.push({ text: of("task"), step: of("step"), ...(of("within") ? { within_s: 60 * Number(of("within")) } : {}) });
    teams.set(team.name, team);
  }
  return [...teams.values()];
}

// -------------------------------------------------------------------------------------------------------------- the list

function list(items, chosen, again, on) {
  const stop = (id) => async () => {
    try {
      await post(`/drills/${id}/stop`, {});
      again();
    } catch (error) {
      on.failed(error);
    }
  };
  const going = (each) => each.state === "planned" || each.state === "running";
  const acts = (each) => element("span", { class: "acts" },
    each.url ? element("a", { class: "act drill-link", href: each.url, target: "_blank", rel: "noopener" }, t("drill_go")) : "",
    going(each) ? button({ class: "act", onclick: stop(each.id) }, t("drill_stop")) : "",
    button({ class: "act", "aria-pressed": String(String(each.id) === state.tab), onclick: () => chosen(each.id) }, t("drill_report")));
  const running = (each) => (each.state === "running" && each.began_at ? ` · ${span((now() - new Date(each.began_at)) / 1000)}` : "");
  return table([
    ["#", (each) => each.id], [t("drill_scenario"), (each) => each.plan.scenario], [t("stands"), (each) => `${t(`drill_${each.state}`)}${running(each)}`],
    [t("opened"), (each) => local(each.starts_at)], [t("closed"), (each) => (each.ended_at ? local(each.ended_at) : "–")], [t("by_whom"), (each) => each.requested_by],
    [t("drill_teams"), (each) => each.plan.teams.map((team) => team.name).join(", ") || "–", "wide"], [t("detail"), (each) => each.message, "wide"], ["", acts],
  ], items, t("drills_none"));
}

function schedules(items) {
  return element("div", {}, element("h3", {}, t("drill_schedules")), table([
    ["#", (each) => each.id], [t("drill_scenario"), (each) => each.plan.scenario], [t("drill_next"), (each) => local(each.next_at)],
    [t("drill_teams"), (each) => each.plan.teams.map((team) => team.name).join(", ") || "–", "wide"], [t("by_whom"), (each) => each.created_by],
  ], items));
}

// ------------------------------------------------------------------------------------------------------------ the report

function report(drill, on) {
  const found = drill.report;
  const title = element("h3", {}, `${t("drill_report")} #${drill.id} · ${drill.plan.scenario}`);
  if (!found) return [title, element("p", { class: "said" }, `${t(`drill_${drill.state}`)} ${drill.message}`)];
  const { figures } = found;
  const keep = () => download(`/drills/${drill.id}/report.pdf`, {}, `drill-${drill.id}.pdf`).catch(on.failed);
  return [
    title, element("p", { class: "noprint" }, button({ class: "plain button", onclick: keep }, icon("download", 16), "PDF")),
    element("div", { class: "figures" },
      figure(t("drill_found"), `${figures.found}/${figures.events}`, t("drill_missed_n", { n: figures.missed }), figures.missed > 0),
      figure(t("drill_false"), number(figures.false_alerts), "", figures.false_alerts > 0),
      figure(t("drill_answer"), figures.mean_answer_s === null ? "–" : span(figures.mean_answer_s)),
      figure(t("drill_in_time"), number(figures.clocks_in_time), t("drill_late_n", { n: figures.clocks_late }), figures.clocks_late > 0),
      figure(t("drill_tasks"), `${figures.tasks_in_time}/${figures.tasks}`, "", figures.tasks_in_time < figures.tasks)),
    element("h3", {}, t("drill_change")),
    found.findings.length ? element("ol", { class: "drill-findings" }, ...found.findings.map((each) => element("li", {}, lang() === "zh" ? each.zh : each.en))) : element("p", { class: "said" }, t("drill_all_well")),
    element("h3", {}, t("drill_truth")), truth(found.events), element("h3", {}, t("drill_clocks")), clocks(found.clocks),
    element("h3", {}, t("drill_tasks")), tasks(found.teams), element("h3", {}, t("timeline")), timeline(found.timeline),
  ];
}

const mark = (answer) => (answer === null ? "–" : answer ? "✓" : "✗");
const verdict = (name) => element("span", { class: name === "late" || name === "missed" ? "wrong" : "" }, t(`verdict_${name}`));
const seconds = (value) => (value === null ? "–" : span(value));

/** What happened: drills of long ago kept the kind of an event alone. */
const happened = (each) => (each.title ? named(each.title) : (each.kind ?? "").replaceAll("_", " "));

const truth = (events) => table([
  [t("what"), happened], [t("network"), (each) => networkName(each.network)], [t("place"), (each) => each.asset ?? "–"],
  [t("drill_visible"), (each) => (each.visible_from ? clock(each.visible_from) : "–")], [t("drill_delay"), (each) => (each.missed ? verdict("missed") : seconds(each.delay_s))],
  [t("level"), (each) => (each.level ? levelName(each.level) : "–")], [t("drill_right"), (each) => `${mark(each.right_place)} ${mark(each.right_cause)} ${mark(each.right_level)}`],
], events);

const clocks = (found) => table([
  [t("place"), (each) => `${place(each.place)} ${named(each.title)}`], [t("level"), (each) => levelName(each.level)],
  [t("drill_step"), (each) => `${t(`step_${each.from}`)} → ${each.to ? t(`step_${each.to}`) : "…"}`], [t("team"), (each) => each.team || "–"],
  [t("drill_took"), (each) => seconds(each.took_s), "number"], [t("limit"), (each) => seconds(each.due_s), "number"], [t("drill_verdict"), (each) => verdict(each.verdict)],
], found);

const tasks = (teams) => table([
  [t("team"), (each) => each.team], [t("drill_task"), (each) => each.text], [t("drill_step"), (each) => t(`step_${each.step}`)],
  [t("drill_took"), (each) => seconds(each.took_s), "number"], [t("limit"), (each) => seconds(each.due_s), "number"], [t("drill_verdict"), (each) => (each.verdict ? verdict(each.verdict) : t("drill_untried"))],
], teams.flatMap((team) => team.tasks.flatMap((task) => (task.events.length ? task.events : [{ took_s: null, due_s: task.within_s, verdict: "" }]).map((each) => ({ team: team.name, text: task.text, step: task.step, ...each })))));

const timeline = (lines) => table([
  [t("time"), (each) => clock(each.at)], [t("what"), (each) => `${HAPPENINGS[each.what] ? t(HAPPENINGS[each.what]) : t(`step_${each.what}`)} ${happened(each)}`],
  [t("place"), (each) => place(each.place) || (each.alert ? `#${each.alert}` : "")], [t("by_whom"), (each) => [each.actor, each.team].filter(Boolean).join(" · ")],
], lines);
