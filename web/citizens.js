// Citizens' reports (12345 hotline, 随手拍): on the map, in the panel, and beside the alerts that they lie near.

import { get, post } from "./api.js";
import { levelName, networkName, since } from "./city.js";
import { button, element, icon } from "./element.js";
import { clock, place, span, t } from "./i18n.js";
import { placeOf, titleOf } from "./incidents.js";
import { badge } from "./levels.js";
import { where } from "./panel.js";
import { pictures } from "./photos.js";

/** What the map asks for: what is open, the newest first. */
export const REPORTS = { state: "open", format: "geojson", limit: 1000 };
const OUTCOMES = ["confirmed", "unfounded", "duplicate", "passed_on"];
const MOST_ALERTS = 5;

const categoryName = (report) => t(`category_${report.category}`);
const sourceOf = (report) => [report.source || report.received_from, report.reference].filter(Boolean).join(" ");

/** The reports beside an alert or an incident; none where this person may not read them. @param {"alerts" | "incidents"} kind @param {string} id */
export const reportsBeside = (kind, id) => get(`/${kind}/${id}/reports`).then(({ items }) => items, (error) => (error.status === 403 ? [] : Promise.reject(error)));

/** The section of an alert's or an incident's panel. @param {any[]} reports @param {any} on */
export function besideSection(reports, on) {
  if (!reports.length) return "";
  const rows = reports.map((each) => element("li", {}, button({ class: "member", "data-report": each.id, onclick: () => on.report(each.id) },
    icon("report_mark", 18), element("span", {}, each.text, element("small", {}, [categoryName(each), each.place, t("ago", { age: span(since(each.reported_at)) })].filter(Boolean).join(" · "))), element("span", { class: "state" }, each.photos.length ? icon("camera", 15) : ""))));
  return element("section", {}, element("h4", {}, t("reports_beside", { n: reports.length })), element("ul", { class: "members" }, ...rows));
}

/** A report with the worst alerts that it lies beside. @param {string} id */
export async function fetchReport(id) {
  const report = await get(`/reports/${id}`);
  return { report, beside: await Promise.all(report.alerts.slice(0, MOST_ALERTS).map((alert) => get(`/alerts/${alert}`))) };
}

/** @param {any} found of fetchReport @param {any} panel @param {any} on changed, failed, alert(id), place(longitude, latitude) */
export function drawReport({ report, beside }, panel, on) {
  const subtitle = [report.network ? networkName(report.network) : "", place(report.place), t("ago", { age: span(since(report.reported_at)) })].filter(Boolean).join(" · ");
  const facts = [["report_source", sourceOf(report)], ["report_seen", clock(report.reported_at)], ["received_at", clock(report.received_at)]];
  return [
    panel.head(null, categoryName(report), subtitle, where(report, on)),
    element("section", { class: "report", "data-report": report.id }, element("p", { class: "said" }, element("q", {}, report.text)),
      element("dl", {}, ...facts.flatMap(([name, value]) => [element("dt", {}, t(name)), element("dd", {}, value)]))),
    pictures(t("report_photos"), report.photos.map((each, at) => ({ path: `/reports/${report.id}/photos/${each}`, said: `${at + 1} / ${report.photos.length}` }))),
    alertsBeside(report, beside, on),
    report.state === "open" ? closing(report, on) : closed(report),
  ];
}

/** By report, the alert into whose history its words were written here: it stays told when the panel is drawn anew, as it is at once. */
const attached = new Map();

/** The alerts near it; one press writes the citizen's words into an alert's own history. */
function alertsBeside(report, alerts, on) {
  const to = attached.get(report.id);
  const said = element("p", { class: "meta", role: "status" }, to ? t("report_attached", { id: to }) : "");
  const words = t("report_note", { id: report.id, source: sourceOf(report), text: report.text }).slice(0, 2000);
  const attach = (alert) => post(`/alerts/${alert.id}/notes`, { note: words }).then(() => { attached.set(report.id, alert.id); said.textContent = t("report_attached", { id: alert.id }); on.changed(); }, (error) => tell(said, error, on));
  const rows = alerts.map((each) => element("li", { class: "beside" }, button({ class: `member ${each.level}`, "data-alert": each.id, onclick: () => on.alert(each.id) },
    badge(each.level, 18), element("span", {}, placeOf(each), element("small", {}, titleOf(each))), element("span", { class: "unseen" }, levelName(each.level))),
    button({ class: "plain button", "data-attach": each.id, disabled: each.id === to, title: t("report_attach"), onclick: () => attach(each) }, t("attach"))));
  return element("section", {}, element("h4", {}, t("alerts_beside")), rows.length ? element("ul", { class: "members" }, ...rows) : element("p", { class: "dim" }, t("no_alerts_beside")), said);
}

/** What became of it: one press, with a note where there is something to say. */
function closing(report, on) {
  const note = element("textarea", { rows: "1", maxlength: "2000", name: "note", placeholder: t("note"), "aria-label": t("note") });
  const wrong = element("p", { class: "wrong", role: "alert" });
  const close = (outcome) => post(`/reports/${report.id}/close`, { outcome, note: note.value }).then(() => { note.value = ""; on.changed(); }, (error) => { tell(wrong, error, on); if (error.status === 409) on.changed(); });
  const acts = OUTCOMES.map((outcome, at) => button({ class: `act ${at === 0 ? "primary" : ""}`, "data-outcome": outcome, onclick: () => close(outcome) }, t(`outcome_${outcome}`)));
  return element("section", { class: "respond" }, element("h4", {}, t("report_close")), element("div", { class: "fields" }, note), element("div", { class: "acts outcomes" }, ...acts), wrong);
}

function closed(report) {
  return element("section", {}, element("h4", {}, t("closed")), element("p", {}, `${t(`outcome_${report.outcome}`)} · ${report.closed_by} · ${clock(report.closed_at)}`), report.note ? element("q", {}, report.note) : "");
}

function tell(place, error, on) {
  if (error.status === 401) return on.failed(error);
  place.textContent = !error.status ? t("not_done") : error.status === 403 ? t("need_role") : error.message;
  return null;
}
