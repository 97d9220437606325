// The worst-first list beside the map, and the counts above it.

import { LEVELS, badge } from "./levels.js";
import { named, place, span, t } from "./i18n.js";

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

const STATES = { UNACK: "new", ACKED: "acknowledged", RTNUN: "returned", SHLVD: "shelved", DSUPR: "suppressed", OOSRV: "out_of_service", NORM: "closed" };

export const stateName = (state) => t(STATES[state] ?? state);

/** What is wrong, in a few words: the rule's own title, else its name. */
export const titleOf = (alert) => named(alert.evidence.title) || alert.rule;

export const placeOf = (alert) => place(alert.asset_name || alert.sensor_name) || alert.asset || alert.device || "";

export const labelOf = (levelName) => (alert) =>
  `${levelName(alert.level)} · ${titleOf(alert)} · ${placeOf(alert)} · ${stateName(alert.state)}`;

export function drawTiles(parent, counts, chosen, levelName, onLevel) {
  parent.replaceChildren(...LEVELS.map((level) => {
    const { open = 0, unacknowledged = 0 } = counts[level] ?? {};
    const hint = `${levelName(level)}: ${t("counts_of", { open, new: unacknowledged })}`;
    const classes = `tile ${level} ${open ? "" : "none"} ${unacknowledged ? "new" : ""}`;
    return element("button",
      { type: "button", class: classes, title: hint, "aria-label": hint, "aria-pressed": String(chosen === level), onclick: () => onLevel(chosen === level ? "" : level) },
      badge(level, 18), element("b", {}, String(open)), element("span", {}, levelName(level)));
  }));
}

export function drawKinds(parent, counts, chosen, onKind) {
  parent.replaceChildren(...["risk", "maintenance"].map((kind) => {
    const open = Object.values(counts[kind] ?? {}).reduce((sum, each) => sum + each.open, 0);
    return element("button", { type: "button", role: "tab", "aria-selected": String(kind === chosen), onclick: () => onKind(kind) },
      t(`${kind}_alerts`), element("i", {}, String(open)));
  }));
}

function row(alert, chosen, names, now, onOpen) {
  const age = span((now - new Date(alert.raised_at)) / 1000);
  const open = element("button",
    { type: "button", class: `row ${alert.level} ${alert.state}`, "data-alert": alert.id, "aria-current": String(String(alert.id) === chosen), onclick: () => onOpen(alert) },
    badge(alert.level, 28),
    element("span", { class: "what" },
      element("strong", {}, placeOf(alert)),
      element("span", { class: "rule" }, titleOf(alert)),
      element("span", { class: "meta" }, element("span", { class: "network" }, names.network(alert.network)), element("span", { class: `state ${alert.state}` }, stateName(alert.state)))),
    element("time", { datetime: alert.raised_at, title: new Date(alert.raised_at).toLocaleString() }, age),
    element("span", { class: "unseen" }, names.level(alert.level)));
  return element("li", {}, open);
}

export function drawList(parent, alerts, { chosen, names, now, onOpen, filtered }) {
  const focused = document.activeElement?.dataset?.alert;
  if (alerts.length) parent.replaceChildren(...alerts.map((alert) => row(alert, chosen, names, now, onOpen)));
  else parent.replaceChildren(element("li", { class: "empty" }, t(filtered ? "nothing_here" : "nothing_open")));
  if (focused) parent.querySelector(`[data-alert="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

/** Arrows and j, k walk the list; Enter opens (it is a button). */
export function walk(parent) {
  addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    const busy = event.target.closest("input, textarea, .maplibregl-canvas") || event.ctrlKey || event.metaKey || event.altKey;
    if (!step || busy) return;
    const rows = [...parent.querySelectorAll("button.row")];
    if (!rows.length) return;
    const at = rows.indexOf(document.activeElement);
    rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + step))].focus();
    event.preventDefault();
  });
}
