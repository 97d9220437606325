// The worst-first list: incidents, or the alerts of maintenance; the counts above it, and the walk by keys.

import { city, levelName, networkName, now } from "./city.js";
import { chosenBox } from "./bulk.js";
import { button, element, icon, settle } from "./element.js";
import { doubt } from "./freshness.js";
import { LEVELS, badge } from "./levels.js";
import { clock, named, place, span, t } from "./i18n.js";
import { deadline, responseOf } from "./response.js";
import { state } from "./state.js";

const STATES = { UNACK: "new", ACKED: "acknowledged", RTNUN: "returned", SHLVD: "shelved", DSUPR: "suppressed", OOSRV: "out_of_service", NORM: "closed" };

export const stateName = (code) => t(STATES[code] ?? code);

/** What is wrong, in a few words: the likeliest cause's or the rule's own title, else its name. */
export const titleOf = (thing) => named(thing.title) || named(thing.evidence?.title) || thing.rule || t("incident");

export const placeOf = (thing) => place(thing.asset_name || thing.sensor_name) || thing.asset || thing.device || networkName(thing.networks?.[0] ?? thing.network);

/** Whether nobody has acknowledged it, or some alert of it. */
export const isNew = (thing) => (thing.unacknowledged ?? (thing.state === "UNACK" ? 1 : 0)) > 0;
const networksOf = (thing) => thing.networks ?? [thing.network];

/** What a screen reader says of a mark. */
export const labelOf = (thing) => [levelName(thing.level), titleOf(thing), placeOf(thing), isNew(thing) ? t("new") : t(`step_${responseOf(thing).step}`)].join(" · ");

const FILTERS = {
  new: isNew,
  late: (thing) => { const { due_at: due } = responseOf(thing); return Boolean(due) && new Date(due) < now(); },
  working: (thing) => !isNew(thing),
};

/** What stays after the filters of the address, in the order that the server gave. */
export function filtered(things) {
  const words = state.find.toLowerCase().split(/\s+/).filter(Boolean);
  return things.filter((each) => (!state.network || networksOf(each).includes(state.network)) && (!state.level || each.level === state.level)
    && (!state.step || FILTERS[state.step]?.(each))
    && words.every((word) => `${titleOf(each)} ${each.asset_name ?? ""} ${each.asset ?? ""} ${each.device ?? ""} ${each.id}`.toLowerCase().includes(word)));
}

/** How many of each level, and how many of them nobody has acknowledged. */
export function drawTiles(parent, things, choose) {
  settle(parent, LEVELS.map((level) => {
    const of = things.filter((each) => each.level === level && (!state.network || networksOf(each).includes(state.network)));
    const fresh = of.filter(isNew).length;
    const hint = `${levelName(level)}: ${t("counts_of", { open: of.length, new: fresh })}`;
    const pressed = state.level === level;
    return button({ class: `tile ${level} ${of.length ? "" : "none"} ${fresh ? "new" : ""}`, title: hint, "aria-label": hint, "aria-pressed": String(pressed), onclick: () => choose({ level: pressed ? "" : level }) },
      badge(level, 18), element("b", {}, of.length), element("span", {}, levelName(level)));
  }));
}

/** Risk or maintenance; then which of them: all, new, late, being worked on. */
export function drawFilters(parent, counts, choose) {
  const kinds = ["risk", "maintenance"].map((kind) => button({ class: "tab", "aria-pressed": String(kind === state.kind), onclick: () => choose({ kind, level: "", step: "" }) }, t(`${kind}_alerts`), element("i", {}, counts[kind] ?? 0)));
  const steps = ["", "new", "late", "working"].map((step) => button({ class: "pill", "aria-pressed": String(step === state.step), onclick: () => choose({ step }) }, t(step ? `only_${step}` : "all")));
  settle(parent, [element("div", { class: "tabs", role: "group", "aria-label": t("kind") }, ...kinds), element("div", { class: "pills", role: "group", "aria-label": t("which") }, ...steps)]);
}

/** Whether a thing of the list is an incident or an alert by itself. */
export const kindOf = (thing) => (thing.alert_ids ? "incident" : "alert");

/** What the level alone does not say: that it was worse, and that every alert of it is back to normal and waits to be acknowledged. */
function course({ level, worst_level: worst, over }) {
  const fell = worst && LEVELS.indexOf(worst) < LEVELS.indexOf(level);
  return [fell ? element("span", { class: `was ${worst}` }, t("was_level", { level: levelName(worst) })) : "", over ? element("span", { class: "over" }, t("back_to_normal")) : ""];
}

function row(thing, onOpen) {
  const kind = kindOf(thing);
  const chosen = kind === "incident" ? state.incident : state.alert;
  const { step, assignee, team } = responseOf(thing);
  const begun = thing.opened_at ?? thing.raised_at;
  const count = thing.open_alerts ?? thing.alerts;
  const open = button(
    { class: `row ${thing.level} ${isNew(thing) ? "new" : ""}`, "data-kind": kind, "data-id": thing.id, "aria-current": String(String(thing.id) === chosen), onclick: () => onOpen(kind, thing) },
    badge(thing.level, 28),
    element("span", { class: "what" },
      element("strong", {}, placeOf(thing)),
      element("span", { class: "rule" }, titleOf(thing)),
      element("span", { class: "meta" },
        element("span", { class: "network" }, networksOf(thing).map(networkName).join("+")),
        element("span", { class: `state ${isNew(thing) ? "UNACK" : ""}` }, isNew(thing) ? t("new") : thing.state === "open" || thing.state === "ACKED" ? t(`step_${step}`) : stateName(thing.state)),
        assignee || team ? element("span", { class: "who" }, assignee || team) : "",
        count > 1 ? element("span", {}, t("alerts_n", { n: count })) : "", ...course(thing))),
    element("span", { class: "when" }, element("time", { datetime: begun, title: clock(begun) }, span((now() - new Date(begun)) / 1000)), deadline(thing) ?? ""),
    element("span", { class: "unseen" }, levelName(thing.level)));
  return element("li", { "data-key": `${kind}:${thing.id}` }, open, chosenBox(kind, thing, `${t("choose")} · ${labelOf(thing)}`));
}

/** Nothing to do: said calmly, with what the city is like; but nothing is normal of which nobody knows. */
function calm(filters) {
  if (filters) return element("li", { class: "empty" }, t("nothing_here"));
  const heard = city.summary?.data_as_of;
  const known = heard && !doubt();
  return element("li", { class: "empty calm" }, known ? icon("check", 34) : "", element("strong", {}, t("nothing_open")), element("span", {}, known ? t("calm_as_of", { time: clock(heard) }) : t(heard ? "calm_unsure" : "never_heard")));
}

/** @param {HTMLElement} parent @param {any[]} things @param {(kind: string, thing: any) => void} onOpen */
export function drawList(parent, things, onOpen) {
  const focused = document.activeElement?.closest?.(".row")?.dataset;
  const filters = state.network || state.level || state.step || state.find;
  settle(parent, things.length ? things.map((each) => row(each, onOpen)) : [calm(filters)]);
  if (focused) parent.querySelector(`.row[data-kind="${focused.kind}"][data-id="${CSS.escape(focused.id)}"]`)?.focus({ preventScroll: true });
}

/** Up and down in the list. @param {HTMLElement} parent @param {number} step */
export function walk(parent, step) {
  const rows = [...parent.querySelectorAll("button.row")];
  if (!rows.length) return;
  const current = rows.find((each) => each === document.activeElement) ?? rows.find((each) => each.getAttribute("aria-current") === "true");
  const at = rows.indexOf(current);
  const next = rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? (step > 0 ? 0 : rows.length - 1) : at + step))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}
