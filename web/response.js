// The response to an alert or an incident: how far it is, what is due, and the buttons that take it further.

import { post } from "./api.js";
import { now, since } from "./city.js";
import { button, element, icon } from "./element.js";
import { clock, span, t } from "./i18n.js";

export const STEPS = ["received", "confirmed", "dispatched", "on_site", "handled", "fed_back", "archived"];

const NEXT = {
  received: ["confirmed", "false_alarm"],
  confirmed: ["dispatched", "false_alarm"],
  dispatched: ["on_site", "false_alarm"],
  on_site: ["handled", "false_alarm"],
  handled: ["fed_back"],
  false_alarm: ["fed_back"],
  fed_back: ["archived"],
  archived: [],
};
/** Keys of the steps: the first letter of their English name, where it is free. */
export const KEYS = { acknowledge: "a", confirmed: "c", false_alarm: "f", dispatched: "d", on_site: "o", handled: "h", fed_back: "b", archived: "z", shelve: "s", assign: "w", note: "n" };

/** How far a thing is; an alert that nobody has looked at is received. */
export const responseOf = (thing) => thing.response ?? { step: "received", since: thing.raised_at ?? thing.opened_at, due_at: null, team: "" };

/** The deadline in words: "due in 4 min", "2 min overdue"; null where there is none. */
export function deadline(thing) {
  const { due_at: due } = responseOf(thing);
  if (!due || thing.closed_at) return null;
  const left = -since(due);
  const late = left < 0;
  return element("span", { class: `due ${late ? "late" : left < 120 ? "soon" : ""}`, title: clock(due) }, late ? t("overdue", { age: span(-left) }) : t("due_in", { age: span(left) }));
}

/** The way from received to archived as a row of points, with the one that is reached. */
export function stepper(thing) {
  const { step, team, assignee, since: reached } = responseOf(thing);
  const way = step === "false_alarm" ? ["received", "false_alarm", "fed_back", "archived"] : STEPS;
  const at = way.indexOf(step);
  const points = way.map((each, place) => element("li", { class: place < at ? "past" : place === at ? "here" : "", "aria-current": place === at ? "step" : null }, element("i"), t(`step_${each}`)));
  const words = [t("step_since", { step: t(`step_${step}`), age: span(since(reached)) }), assignee ? t("assignee_is", { who: assignee }) : "", team ? t("team_is", { team }) : ""].filter(Boolean).join(" · ");
  return element("div", { class: "response" }, element("ol", { class: "stepper", "aria-label": t("response") }, ...points),
    element("p", { class: "meta" }, words, " ", deadline(thing) ?? ""));
}

/** What may be done now, the likeliest first. @param {any} thing an alert or an incident */
export function actionsFor(thing) {
  if (thing.merged_into) return [];
  const { step } = responseOf(thing);
  const found = [];
  const shelved = thing.state === "SHLVD" || (thing.members ?? []).some((each) => each.state === "SHLVD");
  if (thing.unacknowledged > 0 || ["UNACK", "RTNUN"].includes(thing.state)) found.push("acknowledge");
  if (thing.kind !== "maintenance") found.push(...NEXT[step].filter((each) => each !== "archived" || thing.closed_at));
  if (!thing.closed_at) found.push(shelved ? "unshelve" : "shelve");
  if (thing.kind !== "maintenance" && step !== "archived") found.push("assign");
  return found;
}

const BODIES = {
  acknowledge: ({ note }) => ["acknowledge", { note }],
  shelve: ({ note, until }) => ["shelve", { note, until }],
  unshelve: ({ note }) => ["unshelve", { note }],
  fed_back: ({ note, genuine, cause }) => ["feedback", { note, genuine, cause }],
  note: ({ note }) => ["notes", { note }],
  assign: ({ note, assignee, team }) => ["assign", { note, ...(assignee ? { assignee } : {}), ...(team ? { team } : {}) }],
};

/**
 * Do it. @param {"alerts" | "incidents"} kind @param {any} thing @param {string} action a step, or acknowledge, shelve, unshelve, note
 * @param {Record<string, unknown>} values
 */
export function act(kind, thing, action, values = {}) {
  const given = { note: "", ...values };
  const [path, body] = BODIES[action]?.(given) ?? ["steps", { step: action, note: given.note, team: given.team || null }];
  return post(`/${kind}/${thing.id}/${path}`, body);
}

/**
 * Note, team and the buttons. One press does it; what needs a word more (feedback, the shelf) unfolds first.
 * @param {"alerts" | "incidents"} kind @param {any} thing @param {{changed: () => void, failed: (error: Error) => void}} on
 */
export function responseForm(kind, thing, on) {
  const offered = actionsFor(thing);
  const note = element("textarea", { rows: "1", maxlength: "2000", name: "note", placeholder: t("note"), "aria-label": t("note") });
  const team = element("input", { name: "team", maxlength: "80", placeholder: t("team"), "aria-label": t("team"), autocomplete: "off" });
  const wrong = element("p", { class: "wrong", role: "alert" });
  const form = element("form", { class: "respond", onsubmit: (event) => event.preventDefault() });
  const busy = (is) => {
    if (is) form.setAttribute("aria-busy", "true");
    else form.removeAttribute("aria-busy");
    form.querySelectorAll("button").forEach((each) => (each.disabled = is));
  };
  const send = async (action, values = {}) => {
    busy(true);
    wrong.textContent = "";
    try {
      await act(kind, thing, action, { note: note.value, team: team.value, ...values });
      note.value = "";
      form.querySelectorAll("details.shelve, details.assign").forEach((each) => (each.open = false));
      on.changed();
    } catch (error) {
      wrong.textContent = !error.status ? t("not_done") : error.status === 403 ? t("need_role") : error.status === 409 ? `${t("conflict")} ${error.message}` : error.message;
      if (error.status && error.status !== 401) on.changed(); // what was not drawn while the answer was waited for
      if (error.status === 401) on.failed(error);
    } finally {
      busy(false);
    }
  };
  const makers = { shelve: () => shelving(send), fed_back: () => feeding(send, thing), assign: () => assigning(send, thing) };
  const controls = offered.map((action, place) => makers[action]?.() ?? button(
    { class: `act ${place === 0 ? "primary" : ""} ${action}`, "data-act": action, "aria-keyshortcuts": KEYS[action], onclick: () => send(action) },
    t(`do_${action}`), KEYS[action] ? element("kbd", { "aria-hidden": "true" }, KEYS[action]) : ""));
  const keep = button({ class: "act note", "data-act": "note", "aria-keyshortcuts": KEYS.note, onclick: () => (note.value.trim() ? send("note") : note.focus()) }, t("do_note"), element("kbd", { "aria-hidden": "true" }, "n"));
  const wantsTeam = offered.includes("dispatched");
  form.append(element("div", { class: `fields ${wantsTeam ? "two" : ""}` }, note, wantsTeam ? team : ""), element("div", { class: "acts" }, ...controls, keep), wrong);
  return form;
}

/** The shelf: for how long. */
function shelving(send) {
  const hours = (n) => button({ class: "plain", onclick: () => send("shelve", { until: new Date(now() + n * 3_600_000).toISOString() }) }, t("hour", { n }));
  return element("details", { class: "act more shelve" }, element("summary", { "data-act": "shelve", "aria-keyshortcuts": KEYS.shelve }, t("do_shelve"), element("kbd", { "aria-hidden": "true" }, "s")),
    element("div", { class: "unfolded" }, element("p", { class: "meta" }, t("shelve_for")), hours(1), hours(2), hours(8), hours(24)));
}

/** Who has it: a person, a team, or both; the clock of the step runs on. */
function assigning(send, thing) {
  const { assignee = "", team = "" } = responseOf(thing);
  const field = (name, value, text) => element("input", { name, value, maxlength: "80", placeholder: text, "aria-label": text, autocomplete: "off" });
  const who = field("assignee", assignee, t("person"));
  const crew = field("assigned-team", team, t("team"));
  const give = button({ onclick: () => (who.value.trim() || crew.value.trim() ? send("assign", { assignee: who.value.trim(), team: crew.value.trim() }) : who.focus()) }, t("do_assign"));
  return element("details", { class: "act more assign" }, element("summary", { "data-act": "assign", "aria-keyshortcuts": KEYS.assign }, t("do_assign"), element("kbd", { "aria-hidden": "true" }, KEYS.assign)),
    element("div", { class: "unfolded" }, who, crew, give));
}

/** Feedback: real or not, and why. It is kept as a label for ever, so that rules learn from it. */
function feeding(send, thing) {
  const cause = element("input", { name: "cause", maxlength: "80", placeholder: t("cause_found"), "aria-label": t("cause_found") });
  const guess = responseOf(thing).step !== "false_alarm";
  const say = (genuine, text, extra) => button({ class: extra, onclick: () => send("fed_back", { genuine, cause: cause.value }) }, text);
  return element("details", { class: "act more fed_back", open: true }, element("summary", { "data-act": "fed_back", "aria-keyshortcuts": KEYS.fed_back }, t("do_fed_back"), element("kbd", { "aria-hidden": "true" }, "b")),
    element("div", { class: "unfolded" }, cause, say(true, t("was_real"), guess ? "primary" : "plain"), say(false, t("was_false"), guess ? "plain" : "primary")));
}

/** One line of a timeline. @param {string} at @param {string} who @param {...(Node | string)} what */
export const line = (at, who, ...what) => element("li", {}, element("time", { datetime: at }, clock(at)), element("div", {}, ...what, element("small", {}, who === "detector" || who === "clock" || !who ? t("detector") : who)));

export const done = () => element("span", { class: "done" }, icon("check", 15));
