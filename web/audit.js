// In the administration: who changed what, from what to what.

import { get } from "./api.js";
import { element } from "./element.js";
import { fileButton, keepRows } from "./files.js";
import { clock, local, locale, t, zoneName } from "./i18n.js";
import { momentField, momentOf } from "./moment.js";
import { pages } from "./table.js";
import { labelled } from "./who.js";

const MOST = 10_000; // rows of a file
const WHAT = ["alert_history", "api_key", "app_user", "delivery", "drill", "drill_schedule", "endpoint", "escalation", "feedback", "field_photo", "handover", "inventory_history", "job", "login_link",
  "maintenance_window", "report", "report_photo", "response_history", "rule_change", "rule_proposal", "session"];
const asked = { actor: "", what: "", since: "", until: "" }; // kept while the page is open

/** The filter as the API takes it. */
const filter = () => ({ actor: asked.actor.trim(), what: asked.what, since: momentOf(asked.since)?.toISOString(), until: momentOf(asked.until)?.toISOString() });

/** What a table holds, in words; of one that the page does not know, its name. @param {string} table */
function nameOf(table) {
  return WHAT.includes(table) ? t(`table_${table}`) : table.replaceAll("_", " ");
}

/** The audit. @param {any} on @param {() => void} again */
export function auditPage(on, again) {
  const named = WHAT.map((each) => [each, nameOf(each)]).sort((one, other) => one[1].localeCompare(other[1], locale()));
  const input = (name, more) => element("input", { name, value: asked[name], ...more });
  const form = /** @type {HTMLFormElement} */ (element("form", { class: "drill-line noprint" },
    labelled("by_whom", input("actor", { autocomplete: "off", spellcheck: "false" })), labelled("what", element("select", { name: "what" }, element("option", { value: "" }, t("all")), ...named.map(([value, word]) => element("option", { value, selected: value === asked.what }, word)))),
    labelled("from", momentField("since", asked.since)), labelled("to", momentField("until", asked.until)),
    element("button", { class: "primary" }, t("show")), fileButton("CSV", () => keep(on))));
  form.querySelector(".file").setAttribute("data-file", "audit");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    for (const [name, value] of new FormData(form)) asked[name] = String(value);
    again();
  });
  const columns = [
    [t("time"), (each) => clock(each.at), "tight"], [t("by_whom"), (each) => element("span", {}, each.actor, element("small", {}, t(`actor_${each.actor_kind}`), each.address ? ` · ${each.address}` : ""))],
    [t("what"), (each) => element("span", {}, `${t(`did_${each.action}`)} ${nameOf(each.what)} `, element("b", {}, each.row), element("small", { title: t("request") }, each.request))], [t("difference"), difference, "wide"],
  ];
  return [element("p", { class: "meta" }, t("audit_hint")), form, element("div", { class: "audit" }, pages("/audit", filter(), columns, on.failed, t("no_changes")))];
}

const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d.*(Z|[+-]\d\d:\d\d)$/;
const said = (value) => (value === null || value === undefined ? "–" : typeof value === "object" ? JSON.stringify(value) : MOMENT.test(value) ? `${local(value)} ${zoneName(value)}` : String(value));

/** The fields that changed, as they were and as they are. @param {any} change */
export function fields(change) {
  const names = Object.keys({ ...change.before, ...change.after });
  return names.map((name) => [name, change.before ? said(change.before[name]) : null, change.after ? said(change.after[name]) : null]);
}

function difference(change) {
  const line = ([name, was, is]) => element("li", {}, element("span", { class: "dim" }, `${name} `), was === null ? "" : element("del", {}, was), was !== null && is !== null ? " → " : "", is === null ? "" : element("ins", {}, is));
  const lines = fields(change).map(line);
  if (lines.length <= 4) return element("ul", { class: "difference" }, ...lines);
  return element("details", { class: "difference" }, element("summary", {}, t("fields_n", { n: lines.length })), element("ul", { class: "difference" }, ...lines));
}

/** Every change that the filter lets through, as a file. */
async function keep(on) {
  try {
    const rows = [];
    for (let after; ;) {
      const found = await get("/audit", { ...filter(), limit: 1000, after });
      rows.push(...found.items);
      after = found.next;
      if (!after || rows.length >= MOST) break;
    }
    const head = ["at", "actor", "actor_kind", "address", "request", "action", "what", "row", "before", "after"];
    keepRows([head, ...rows.map((row) => head.map((name) => (row[name] !== null && typeof row[name] === "object" ? JSON.stringify(row[name]) : row[name])))], "audit");
  } catch (error) {
    on.failed(error);
  }
}
