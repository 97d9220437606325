// A field link on a phone: one alert, where it is, what to do, three big buttons, a note and a photo. No login.

import { badge } from "./levels.js";
import { button, byId, element, icon } from "./element.js";
import { clock, lang, named, number, place, span, switchLanguage, t } from "./i18n.js";
import { remember, remembered } from "./state.js";

const LONGEST_SIDE = 1600; // pixels of a photo that is sent
const MOST_BYTES = 500_000;
const NAMES = { acknowledge: "do_acknowledge", confirmed: "do_confirmed", false_alarm: "do_false_alarm", dispatched: "do_dispatched", on_site: "do_on_site", handled: "do_handled", feed_back: "do_fed_back" };

let token = location.pathname.split("/").pop();
let shown = null;
let typed = { note: "", name: remembered("field-name", "") };
const sent = []; // object addresses of the photos

async function ask(path, options = {}) {
  const response = await fetch(path, { credentials: "omit", cache: "no-store", ...options, headers: { Accept: "application/json", ...options.headers } });
  const found = await response.json().catch(() => ({}));
  if (!response.ok) throw Object.assign(new Error(found.detail || `HTTP ${response.status}`), { status: response.status });
  return found;
}

const header = (alert) => element("header", { class: alert.level }, badge(alert.level, 44), element("div", {},
  element("h1", {}, place(alert.asset_name || alert.sensor_name) || alert.asset || ""), element("p", {}, `${named(alert.evidence.title) || alert.rule} · ${t("ago", { age: span((Date.now() - new Date(alert.raised_at)) / 1000) })}`)));

/** The phone's own maps: geo: on Android, maps: on an iPhone. Nothing is asked of anybody by this page. */
function where(alert) {
  if (alert.longitude === null) return "";
  const at = `${alert.latitude.toFixed(6)},${alert.longitude.toFixed(6)}`;
  const apple = /iPhone|iPad|Macintosh/.test(navigator.userAgent);
  const href = apple ? `maps:?q=${at}` : `geo:${at}?q=${at}(${encodeURIComponent(alert.asset ?? "")})`;
  return element("a", { class: "where", href }, icon("pin", 28), element("span", {}, t("open_in_maps"), element("small", {}, `${alert.asset ?? ""} · ${at}`)));
}

/** Measured against limit and expected; of what is over that of its worst moment, and how it is now: as the panel tells it. */
function measured({ evidence: now, worst }) {
  const evidence = worst ?? now;
  const of = (value) => number(value, evidence.unit ?? "");
  if (typeof evidence.value !== "number") return "";
  const limit = typeof evidence.limit === "number" ? ` · ${t("limit")} ${of(evidence.limit)}` : "";
  const expected = typeof evidence.expected === "number" ? ` · ${t("expected_is", { value: of(evidence.expected) })}` : "";
  const peak = typeof evidence.peak === "number" && evidence.peak !== evidence.value ? ` · ${t(evidence.condition === "below" ? "lowest" : "peak", { value: of(evidence.peak) })}` : "";
  const again = worst && typeof now.value === "number" ? ` · ${t("as_usual_again", { value: number(now.value, now.unit ?? "") })}` : "";
  return element("p", { class: "said" }, `${t("measured")} ${of(evidence.value)}${peak}${limit}${expected}${again}`);
}

function advice(words) {
  const lines = (named(words) || "").split(/(?<=[。；;])|(?<=[.;])\s+(?=[A-Z])/u).map((each) => each.trim()).filter(Boolean);
  return lines.length ? element("section", { class: "advice" }, element("h2", {}, t("advice")), element("ol", {}, ...lines.map((each) => element("li", {}, each)))) : "";
}

/** What can be done now: the link's own action first, then what else follows. */
function offered() {
  const own = shown.usable ? [[shown.action, token]] : [];
  return [...own, ...Object.entries(shown.onward)].slice(0, 3);
}

async function send(action, through, values = {}) {
  byId("field").querySelectorAll("button").forEach((each) => (each.disabled = true));
  remember("field-name", typed.name);
  try {
    shown = await ask(`/field/${through}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ name: typed.name, note: typed.note, ...values }) });
    token = through;
    typed.note = "";
    draw({ text: t("sent_action", { action: t(NAMES[action]) }) });
  } catch (error) {
    draw({ text: error.status ? error.message : t("error_network"), wrong: true });
  }
}

function buttons() {
  const made = offered().flatMap(([action, through], at) => action === "feed_back"
    ? [button({ class: "primary", onclick: () => send(action, through, { genuine: true }) }, t("was_real")), button({ class: "no", onclick: () => send(action, through, { genuine: false }) }, t("was_false"))]
    : [button({ class: action === "false_alarm" ? "no" : at === 0 ? "primary" : "", onclick: () => send(action, through) }, t(NAMES[action]))]);
  return element("div", { class: "big" }, ...made);
}

/** The photo as a JPEG that is small enough to be sent over a poor line. */
async function smaller(file) {
  const picture = await createImageBitmap(file);
  let scale = Math.min(1, LONGEST_SIDE / Math.max(picture.width, picture.height));
  for (let quality = 0.82; ; quality -= 0.14) {
    const canvas = element("canvas", { width: Math.round(picture.width * scale), height: Math.round(picture.height * scale) });
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    const made = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));
    if (made.size <= MOST_BYTES || quality < 0.3) return made;
    scale *= 0.8;
  }
}

async function photo(event) {
  const [file] = event.target.files;
  if (!file) return;
  try {
    const small = await smaller(file);
    await ask(`/field/${token}/photos?name=${encodeURIComponent(typed.name)}`, { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: small });
    sent.push(URL.createObjectURL(small));
    draw({ text: t("photo_sent") });
  } catch (error) {
    draw({ text: error.status ? error.message : t("photo_wrong"), wrong: true });
  }
}

function words() {
  const note = element("textarea", { id: "note", rows: "2", maxlength: "2000", placeholder: t("note"), "aria-label": t("note"), oninput: (event) => (typed.note = event.target.value) });
  note.value = typed.note;
  const name = element("input", { id: "name", maxlength: "80", placeholder: t("your_name"), "aria-label": t("your_name"), autocomplete: "name", oninput: (event) => (typed.name = event.target.value) });
  name.value = typed.name;
  return element("div", { class: "say" }, note, name);
}

const camera = () => element("label", { class: "photo" }, icon("camera", 26), t("add_photo"), element("input", { type: "file", accept: "image/*", capture: "environment", onchange: photo }));

function foot() {
  return element("div", { class: "foot" }, element("span", {}, shown ? t("link_until", { time: clock(shown.expires_at) }) : ""), button({ class: "plain", id: "language", onclick: () => { switchLanguage(); draw(); } }, t("language")));
}

/** @param {{text: string, wrong?: boolean} | undefined} [outcome] what just happened */
function draw(outcome) {
  document.documentElement.lang = lang() === "zh" ? "zh-CN" : "en";
  document.title = t("field_title");
  if (!shown) return byId("field").replaceChildren(element("div", { class: "outcome no", role: "alert" }, outcome?.text ?? ""), foot());
  const { alert } = shown;
  byId("field").className = alert.level;
  const able = offered().length > 0;
  const said = outcome ? element("div", { class: `outcome ${outcome.wrong ? "no" : ""}`, role: outcome.wrong ? "alert" : "status" }, outcome.wrong ? "" : icon("check", 22), outcome.text) : "";
  const over = !able && !outcome ? element("div", { class: "outcome no" }, t("nothing_to_do")) : "";
  byId("field").replaceChildren(...[
    header(alert), said, over,
    element("p", { class: "small" }, `${t("response")}: ${t(`step_${shown.step}`)}${shown.team ? ` · ${shown.team}` : ""}`),
    measured(alert), where(alert), advice(alert.evidence.advice),
    able ? words() : "", able ? buttons() : "", camera(),
    sent.length ? element("div", { class: "thumbs" }, ...sent.map((src) => element("img", { src, alt: t("photo") }))) : "", foot(),
  ].filter(Boolean));
}

async function begin() {
  document.documentElement.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  try {
    shown = await ask(`/field/${token}`);
    draw();
  } catch (error) {
    draw({ text: { 403: t("link_forged"), 404: t("link_off") }[error.status] ?? (error.status ? error.message : t("error_network")), wrong: true });
  }
  document.body.dataset.ready = "true";
}

begin();
