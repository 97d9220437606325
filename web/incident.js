// An incident in the panel: what, where, how far, why, what to do, its alerts, what happened and who did it.

import { get } from "./api.js";
import { besideSection, reportsBeside } from "./citizens.js";
import { networkName, since } from "./city.js";
import { button, element } from "./element.js";
import { advice, causes, details, inWords } from "./evidence.js";
import { clock, span, t } from "./i18n.js";
import { placeOf, stateName, titleOf } from "./incidents.js";
import { badge } from "./levels.js";
import { where } from "./panel.js";
import { pictures } from "./photos.js";
import { line, responseForm, stepper } from "./response.js";

const MOST_MEMBERS = 12;
const ACTIONS = { acknowledged: "acknowledged_action", returned: "returned_action", closed: "closed_action", opened: "opened_action" };

/** Everything that the panel of an incident shows. @param {string} id */
export async function fetchIncident(id) {
  const [incident, photos, response, reports] = await Promise.all([get(`/incidents/${id}`), get(`/incidents/${id}/photos`), get(`/incidents/${id}/response`), reportsBeside("incidents", id)]);
  incident.response = response;
  incident.unacknowledged = incident.members.filter((each) => ["UNACK", "RTNUN"].includes(each.state)).length;
  const lead = await get(`/alerts/${incident.lead_alert}`);
  const sensors = lead.asset ? (await get(`/assets/${encodeURIComponent(lead.asset)}`)).sensors : lead.sensor ? [await get(`/sensors/${lead.sensor}`)] : [];
  return { incident, lead, sensors, photos: photos.items, reports };
}

/** @param {any} found of fetchIncident @param {any} panel @param {any} on changed, failed, alert(id), asset(id), place(longitude, latitude) */
export function drawIncident({ incident, lead, sensors, photos, reports }, panel, on) {
  const [cause] = incident.causes;
  const subtitle = [titleOf(incident), incident.networks.map(networkName).join("+"), t("ago", { age: span(since(incident.opened_at)) })].join(" · ");
  return [
    panel.head(incident.level, placeOf(incident), subtitle, where(incident, on)),
    merged(incident, on),
    element("section", { class: `handle ${incident.level}`, "data-incident": incident.id }, stepper(incident), responseForm("incidents", incident, on)),
    element("section", { class: "why" }, element("h4", {}, t("evidence")), element("p", { class: "said" }, inWords(lead)), ...causes(incident.causes, on.alert), details(lead)),
    panel.measurements(sensors, { chosen: lead.sensor, alerts: [lead], failed: on.failed }),
    besideSection(reports, on),
    pictures(t("photos"), photos.map(fromField)),
    advice(cause?.advice ?? lead.evidence.advice),
    members(incident, on),
    timeline(incident, lead),
  ];
}

const fromField = (photo) => ({ path: `/photos/${photo.id}`, said: `${clock(photo.at)} · ${photo.name || t("field")}` });

function merged(incident, on) {
  return incident.merged_into ? element("section", {}, button({ class: "link", onclick: () => on.incident(incident.merged_into) }, t("merged_into", { id: incident.merged_into }))) : "";
}

function members(incident, on) {
  const rows = incident.members.map((each) => element("li", {}, button({ class: `member ${each.level} ${each.closed_at ? "gone" : ""}`, "data-alert": each.id, onclick: () => on.alert(each.id) },
    badge(each.level, 18), element("span", {}, placeOf(each), element("small", {}, titleOf(each))), element("span", { class: `state ${each.state}` }, stateName(each.state)))));
  const rest = rows.splice(MOST_MEMBERS);
  return element("section", {}, element("h4", {}, t("members", { n: incident.alerts, open: incident.open_alerts })), element("ul", { class: "members" }, ...rows),
    rest.length ? element("details", { class: "quiet" }, element("summary", {}, t("more_n", { n: rest.length })), element("ul", { class: "members" }, ...rest)) : "");
}

/** Everything that happened, newest first: to the incident, to its lead alert, and what people did. */
function timeline(incident, lead) {
  const mine = incident.history.map((each) => ({ at: each.at, who: each.actor, badge: each.to_level,
    what: `${t(ACTIONS[each.action] ?? each.action)}${each.alerts.length ? ` · ${t("alerts_n", { n: each.alerts.length })}` : ""}${each.other ? ` · #${each.other}` : ""}` }));
  const entries = [...mine, ...entriesOf(lead), ...responsesOf(incident.response.history)];
  return drawTimeline(entries);
}

const responsesOf = (entries) => entries.map((each) => ({ at: each.at, who: each.actor, what: each.action === "overdue" ? t("overdue_entry", { step: t(`step_${each.from_step}`) }) : each.action === "step" ? t(`step_${each.to_step}`) : t(each.action === "note" ? "do_note" : "do_fed_back"), note: [each.team ? t("team_is", { team: each.team }) : "", each.note].filter(Boolean).join(" · ") }));

const entriesOf = (alert) => alert.history.filter((each) => !["updated"].includes(each.action)).map((each) => ({ at: each.at, who: each.actor, badge: each.to_level, what: `${t(ACTIONS[each.action] ?? each.action)} · ${titleOf(alert)}`, note: each.note }));

function drawTimeline(entries) {
  const sorted = entries.sort((a, b) => new Date(b.at) - new Date(a.at));
  const rows = sorted.map((each) => line(each.at, each.who, each.badge ? badge(each.badge, 14) : "", element("span", {}, each.what), each.note ? element("q", {}, each.note) : ""));
  return element("section", {}, element("h4", {}, t("timeline")), element("ol", { class: "timeline" }, ...rows));
}

/** Everything that the panel of one alert shows. @param {string} id */
export async function fetchAlert(id) {
  const alert = await get(`/alerts/${id}`);
  const [thing, sensor, photos, response, reports] = await Promise.all([
    alert.asset ? get(`/assets/${encodeURIComponent(alert.asset)}`) : null,
    !alert.asset && alert.sensor ? get(`/sensors/${alert.sensor}`) : null,
    get(`/alerts/${id}/photos`),
    alert.kind === "risk" ? get(`/alerts/${id}/response`) : null,
    alert.kind === "risk" ? reportsBeside("alerts", id) : [],
  ]);
  if (response) alert.response = response;
  return { alert, thing, sensors: thing?.sensors ?? (sensor ? [sensor] : []), photos: photos.items, reports };
}

/** @param {any} found of fetchAlert @param {any} panel @param {any} on */
export function drawAlert({ alert, thing, sensors, photos, reports }, panel, on) {
  const subtitle = [titleOf(alert), networkName(alert.network), t("ago", { age: span(since(alert.raised_at)) })].join(" · ");
  const up = alert.incident ? button({ class: "link", onclick: () => on.incident(alert.incident) }, t("part_of", { id: alert.incident })) : "";
  return [
    panel.head(alert.level, placeOf(alert), subtitle, where(alert, on)),
    element("section", { class: `alert handle ${alert.level}`, "data-alert": alert.id },
        element("p", { class: "meta" }, element("span", { class: `state ${alert.state}` }, stateName(alert.state)), alert.acknowledged_by ? ` · ${t("by", { who: alert.acknowledged_by, when: clock(alert.acknowledged_at) })}` : "", " ", up),
        alert.kind === "risk" ? stepper(alert) : "", responseForm("alerts", alert, on)),
    element("section", { class: "why" }, element("h4", {}, t("evidence")), element("p", { class: "said" }, inWords(alert)), details(alert)),
    panel.measurements(sensors, { chosen: alert.sensor, alerts: [alert], failed: on.failed }),
    besideSection(reports, on),
    pictures(t("photos"), photos.map(fromField)),
    advice(alert.evidence.advice),
    thing ? element("section", {}, button({ class: "link", onclick: () => on.asset(thing.id) }, `${t("facts")}: ${thing.id}`)) : "",
    drawTimeline([...entriesOf(alert), ...responsesOf(alert.response?.history ?? [])]),
  ];
}
