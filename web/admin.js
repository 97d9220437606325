// Administration: how Lifeline itself is, sensors that say nothing, what could not be taken, rules, endpoints, users, keys,
// the audit, and one's own account.

import { get } from "./api.js";
import { networkName, quantityName, since } from "./city.js";
import { accountPage } from "./account.js";
import { auditPage } from "./audit.js";
import { keysPage } from "./keys.js";
import { endpointsPage, rulesPage } from "./operations.js";
import { usersPage } from "./users.js";
import { button, element } from "./element.js";
import { fileButton, keepTables } from "./files.js";
import { overdue } from "./freshness.js";
import { clock, number, place, span, t, valueName } from "./i18n.js";
import { change, state } from "./state.js";
import { figure, pages, table } from "./table.js";

const TABS = { health, silent, quarantine, rules: rulesPage, endpoints: endpointsPage, users: usersPage, keys: keysPage, audit: auditPage, account: accountPage };
const HUGE = 1e9;

/** Open the administration. @param {HTMLElement} parent @param {{failed: (error: any) => void, select: (what: any) => void}} on */
export function open(parent, on) {
  const body = element("div", { class: "sheet" });
  const tabs = element("div", { class: "tabs", role: "group", "aria-label": t("view_admin") });
  let timer = 0;
  const show = async (name, { quiet = false } = {}) => {
    if (!quiet) change({ tab: name }, { visit: false });
    tabs.replaceChildren(...Object.keys(TABS).map((each) => button({ class: "tab", "aria-pressed": String(each === name), onclick: () => show(each) }, t(`admin_${each}`))));
    file.hidden = name === "audit"; // it gives the whole list, and not just what is on the screen
    try {
      const made = await TABS[name](on, () => show(name));
      if ((state.tab || "health") === name && state.view === "admin") body.replaceChildren(...made.filter(Boolean));
    } catch (error) {
      if (error.status === 403) body.replaceChildren(element("p", { class: "wrong" }, t("need_role")));
      else on.failed(error);
    }
  };
  const file = fileButton("CSV", () => keepTables(body, `administration-${state.tab || "health"}`));
  parent.replaceChildren(element("div", { class: "document" }, element("header", {}, element("h2", {}, t("view_admin")), element("div", { class: "grow" }), file), tabs, body));
  show(TABS[state.tab] ? state.tab : "health");
  timer = setInterval(() => (state.tab || "health") === "health" && show("health", { quiet: true }), 5000);
  return { close: () => clearInterval(timer) };
}

const bytes = (n) => (n >= HUGE ? number(n / HUGE, "GB") : n >= 1e6 ? number(n / 1e6, "MB") : number(Math.round(n / 1e3), "kB"));

async function health() {
  const [system, storage] = await Promise.all([get("/system"), get("/system/storage")]);
  const { books, counts } = system;
  const balanced = books.received === books.stored + books.duplicate + books.quarantined;
  const { ticked_at: ticked, tick_s } = system.processes.find((each) => each.process === "alerts" && each.detail.ticked_at)?.detail ?? {};
  const figures = [
    figure(t("lag"), system.lag_s === null ? "–" : span(system.lag_s), t("lag_hint"), system.lag_s > 120),
    figure(t("queue"), number(counts.deliveries_pending), t("queue_hint"), counts.deliveries_pending > 100),
    figure(t("failed_deliveries"), number(counts.deliveries_failed), "", counts.deliveries_failed > 0),
    figure(t("sensors_heard"), `${number(counts.sensors_heard)} / ${number(counts.sensors)}`, "", counts.sensors_heard < counts.sensors),
    figure(t("last_tick"), ticked ? t("ago", { age: span(since(ticked)) }) : "–", tick_s ? t("last_tick_hint", { every: span(tick_s) }) : "", overdue(ticked, tick_s)),
    figure(t("room"), bytes(storage.bytes), t("edition_is", { edition: system.edition })),
    figure(t("books"), balanced ? t("balanced") : t("unbalanced"), t("books_hint", { stored: number(books.stored), duplicate: number(books.duplicate), quarantined: number(books.quarantined) }), !balanced),
  ];
  const processes = table([
    [t("process"), (each) => element("span", { class: `alive ${each.alive ? "" : "no"}` }, each.process)], [t("instance"), (each) => each.instance],
    [t("sign_of_life"), (each) => t("ago", { age: span(each.age_s) })],
    [t("detail"), (each) => Object.entries(each.detail).filter(([name, value]) => name !== "ticked_at" && ["string", "number", "boolean"].includes(typeof value)).map(([name, value]) => `${valueName("beat", name)} ${typeof value === "boolean" ? t(value ? "yes" : "no") : name === "pid" ? value : number(value)}`).join(" · "), "wide"],
  ], system.processes);
  const tables = table([[t("table"), ([name]) => name], [t("room"), ([, size]) => bytes(size), "number"]], Object.entries(storage.tables).sort((a, b) => b[1] - a[1]).slice(0, 12));
  return [
    element("div", { class: "figures" }, ...figures),
    element("h3", {}, t("processes")), processes, element("h3", {}, t("largest_tables")), tables,
  ];
}

async function silent(on) {
  const columns = [
    [t("sensor"), (each) => button({ class: "link", onclick: () => on.select({ view: "", asset: each.asset ?? "", sensor: String(each.id) }) }, place(each.name) || `${each.device} ${each.channel}`)],
    [t("measures"), (each) => quantityName(each.quantity)], [t("network"), (each) => networkName(each.network)], [t("device"), (each) => each.device],
    [t("heard_last"), (each) => (each.newest ? `${clock(each.newest.ts)} · ${t("ago", { age: span(since(each.newest.ts)) })}` : t("never"))],
    [t("longest"), (each) => span(each.max_silence_s), "number"],
  ];
  return [element("p", { class: "said" }, t("unknown_hint")), pages("/silent", {}, columns, on.failed, t("all_heard"))];
}

async function quarantine(on, again) {
  const reasons = (await get("/quarantine/reasons", { days: 7 })).items;
  const chosen = state.find && reasons.some((each) => each.reason === state.find) ? state.find : "";
  const pill = (reason, text) => button({ class: "pill", "aria-pressed": String(reason === chosen), onclick: () => { change({ find: reason }); again(); } }, text);
  const pills = element("div", { class: "pills" }, pill("", t("all")), ...reasons.map((each) => pill(each.reason, `${t(`reason_${each.reason}`)} ${number(each.count)}`)));
  const columns = [
    [t("received_at"), (each) => clock(each.received_at)], [t("reason"), (each) => t(`reason_${each.reason}`)], [t("topic"), (each) => each.topic, "wide"],
    [t("detail"), (each) => [each.channel, each.detail].filter(Boolean).join(" · "), "wide"],
    [t("bytes"), (each) => element("details", { class: "payload" }, element("summary", {}, t("bytes_n", { n: each.size })), element("pre", { tabindex: "0" }, each.text ?? hex(each.payload)))],
  ];
  return [element("p", { class: "meta" }, t("quarantine_hint")), pills, pages("/quarantine", { reason: chosen || undefined }, columns, on.failed, t("nothing_held"))];
}

/** Sixteen bytes a line, as numbers and as characters where they are any. */
function hex(text) {
  const lines = text.match(/.{1,32}/g) ?? [];
  return lines.slice(0, 64).map((each, at) => {
    const pairs = each.match(/../g);
    const said = pairs.map((pair) => { const code = parseInt(pair, 16); return code > 31 && code < 127 ? String.fromCharCode(code) : "."; }).join("");
    return `${(at * 16).toString(16).padStart(4, "0")}  ${pairs.join(" ").padEnd(47)}  ${said}`;
  }).join("\n");
}
