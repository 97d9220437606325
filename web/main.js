// Puts the page together: signs in, makes the map, the list and the panel, and turns what a person does into what is shown.

import { findKey, forget, get, hasErrand } from "./api.js";
import { drawAsset, drawCell, fetchAsset, fetchCell } from "./asset.js";
import { middleOf, tracesOf } from "./chains.js";
import { drawReport, fetchReport } from "./citizens.js";
import { city, stands } from "./city.js";
import { drawBulk, listenToBulk } from "./bulk.js";
import { button, byId, element, icon } from "./element.js";
import { drawFreshness, freshness, streamIs } from "./freshness.js";
import { lang, named, setZone, switchLanguage, t } from "./i18n.js";
import { drawAlert, drawIncident, fetchAlert, fetchIncident } from "./incident.js";
import { walk } from "./incidents.js";
import { showHandover } from "./handover.js";
import { help, listenToKeys } from "./keyboard.js";
import { drawLayers, drawLegend, hidden } from "./legend.js";
import { follow } from "./live.js";
import { RiskMap, extent } from "./map.js";
import { loadChart } from "./measurements.js";
import { Panel } from "./panel.js";
import { Search } from "./search.js";
import { arrived, ended, signIn, signOut } from "./signin.js";
import { soundIsOn, switchSound } from "./sound.js";
import { change, onBack, remember, remembered, state } from "./state.js";
import { TimeBar } from "./time.js";
import { Watch } from "./watch.js";

const VIEWS = ["", "renewal", "report", "admin", "drills"];
const CHOICES = ["incident", "alert", "report", "asset", "sensor", "cell"];
const NOTHING = Object.fromEntries(CHOICES.map((name) => [name, ""]));
/** Views that are asked for less often are loaded when they are: the watch comes first. */
const LOADERS = { renewal: () => import("./renewal.js"), report: () => import("./report.js"), admin: () => import("./admin.js"), drills: () => import("./drills.js") };

let map;
let panel;
let watch;
let time;
let search;
let shown = null; // the view besides the watch that is open: {close}
const layers = {}; // those that this city has beside the usual ones, and how much is on each

function failed(error) {
  if (error.status === 401) return ended();
  freshness.failure = error.status ? t("error_server", { detail: error.message }) : t("error_network");
  if (!error.status) console.warn(error.message);
  drawFreshness();
}

// ------------------------------------------------------------------------------------------------------- choosing

function choose(values) {
  change(values);
  drawNetworks();
  watch.draw();
  map.filter(hidden(), state.network);
  search.find(state.find, state.network);
}

const chosen = () => Object.fromEntries(CHOICES.map((name) => [name, state[name]]));

const on = {
  changed: () => { watch.refresh.entries(); watch.refresh.summary(); watch.refresh.reports(); select(chosen(), { visit: false, quiet: true }); },
  failed,
  incident: (id) => select({ incident: String(id) }),
  alert: (id) => select({ alert: String(id) }),
  report: (id) => select({ report: String(id) }),
  asset: (id) => select({ asset: id }),
  place: (longitude, latitude) => map.goTo(longitude, latitude),
  hold: (ids) => map.pick(ids),
};

const KINDS = [
  ["incident", () => fetchIncident(state.incident), drawIncident],
  ["alert", () => fetchAlert(state.alert), drawAlert],
  ["report", () => fetchReport(state.report), drawReport],
  ["asset", () => fetchAsset({ asset: state.asset, sensor: state.sensor }), drawAsset],
  ["sensor", () => fetchAsset({ sensor: state.sensor }), drawAsset],
  ["cell", () => fetchCell(state.cell), drawCell],
];

/** Show what is chosen; `go` takes the map there. */
async function select(what, { go = false, visit = true, quiet = false } = {}) {
  change({ ...NOTHING, ...what }, { visit });
  if (!quiet) watch.draw();
  const kind = KINDS.find(([name]) => state[name]);
  if (!kind) {
    panel.close();
    map.members([]);
    trace([]);
    return map.pick([]);
  }
  try {
    const [, fetch, draw] = kind;
    const found = await panel.show(fetch, (got) => draw(got, panel, on), { quiet });
    const at = found.incident ?? found.alert ?? found.report ?? found.alerts?.[0];
    map.pick([found.thing?.id ?? at?.asset]);
    map.members(found.incident?.members ?? []);
    trace(found.risk?.chains ?? found.chains ?? []);
    const there = typeof at?.longitude === "number" ? [at.longitude, at.latitude] : middleOf(found.thing?.geometry);
    if (go && there) map.goTo(...there);
  } catch (error) {
    if (state.cell && error.status === 404) return select({}); // nothing is there any more
    failed(error);
  }
  return null;
}

let traced = null;

/** The chains of what is chosen as lines; of two drawings the newer wins. */
async function trace(chains) {
  const turn = (traced = {});
  const found = await tracesOf(chains);
  if (turn === traced) map.show("traces", found);
}

function chosenOnMap(found) {
  if (shown?.chosen?.(found)) return;
  if (found?.work) return;
  select(found ?? {});
}

function fit() {
  const box = city.summary?.extent ?? extent(map.data.cells);
  if (box) map.fit(box);
}

// ---------------------------------------------------------------------------------------------------------- views

/** Another view: the map stays for the watch and the renewal; report and administration take its place. */
async function view(name, { visit = true, tab = "" } = {}) {
  change({ view: name, ...(visit ? { tab } : {}) }, { visit });
  shown?.close();
  shown = null;
  const onMap = !name || name === "renewal";
  byId("list").hidden = Boolean(name);
  byId("side").hidden = name !== "renewal";
  byId("stage").hidden = !onMap;
  byId("document").hidden = onMap;
  byId("time").hidden = Boolean(name);
  document.body.dataset.view = name || "watch";
  if (name && panel.open) await select({}, { visit: false });
  drawViews();
  if (onMap) map.fill();
  if (!name) return;
  try {
    const made = await LOADERS[name]();
    if (state.view !== name) return;
    const parent = byId(onMap ? "side" : "document");
    parent.replaceChildren();
    shown = made.open(parent, { map, failed, panel, select, decided: loadZones });
    if (!onMap) parent.focus({ preventScroll: true });
  } catch (error) {
    failed(error);
  }
}

function drawViews() {
  const names = { "": "watch", renewal: "renewal", report: "report", admin: "admin", drills: "drills" };
  byId("views").setAttribute("aria-label", t("views"));
  byId("views").replaceChildren(...VIEWS.map((name, at) => button({ class: "view", "aria-current": state.view === name ? "page" : null, title: `${t(`view_${names[name]}`)} (${at + 1})`, onclick: () => view(name) }, icon(names[name], 17), element("span", {}, t(`view_${names[name]}`)))));
}

function drawNetworks() {
  const chip = (key, text) => button({ "aria-pressed": String(state.network === key), onclick: () => choose({ network: key }) }, text);
  byId("networks").setAttribute("aria-label", t("network"));
  byId("networks").replaceChildren(chip("", t("all")), ...city.catalogue.networks.map((each) => chip(each.key, named(each))));
}

function drawTools() {
  const tool = (name, word, onclick, ...more) => button({ class: "plain tool", id: name, title: word, "aria-label": word, onclick }, ...more);
  byId("tools").replaceChildren(
    tool("sound", t(soundIsOn() ? "sound_on" : "sound_off"), () => { switchSound(); drawTools(); }, icon(soundIsOn() ? "sound" : "silent")),
    tool("theme", t("theme"), () => { setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"); map.dress(); redraw(); }, icon("theme")),
    button({ class: "plain tool", id: "language", title: t("language_other"), lang: lang() === "zh" ? "en" : "zh-CN", onclick: speak }, t("language")),
    tool("keys", `${t("keys")} (?)`, help, icon("help")),
    tool("account", t("your_account"), () => view("admin", { tab: "account" }), icon("person")),
    tool("signout", t("sign_out"), signOut, icon("out")));
}

function speak() {
  switchLanguage();
  drawWords();
  map.speak();
  watch.refresh.handover();
  redraw();
}

/** The panel and the open view once more: in another language, in other colours. */
function redraw() {
  if (panel.open) select(chosen(), { visit: false });
  if (state.view) view(state.view, { visit: false });
}

function drawWords() {
  document.documentElement.lang = lang() === "zh" ? "zh-CN" : "en";
  byId("title").textContent = city.catalogue.title;
  const exercise = city.catalogue.status === "Exercise";
  document.body.classList.toggle("exercise", exercise);
  byId("exercise").hidden = !exercise;
  byId("exercise").textContent = exercise ? t("exercise_banner") : "";
  byId("list").setAttribute("aria-label", t("incidents"));
  byId("side").setAttribute("aria-label", t("view_renewal"));
  byId("panel").setAttribute("aria-label", t("chosen"));
  byId("tiles").setAttribute("aria-label", t("legend"));
  const find = /** @type {HTMLInputElement} */ (byId("find"));
  find.placeholder = t("search");
  find.setAttribute("aria-label", t("find"));
  find.value = state.find;
  drawViews();
  drawTools();
  drawNetworks();
  drawLayers(map, fit, layers);
  drawLegend(map.resolution);
  time.draw();
  watch.announce();
  watch.draw();
  drawBulk();
  search.find(state.find, state.network);
  drawFreshness();
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  remember("theme", theme);
}

// ----------------------------------------------------------------------------------------------------------- begin

/** The words of the city and how it stands; null where this person has to sign in first. */
async function enter() {
  if (hasErrand() && !(await arrived())) return null;
  if (!findKey()) return signIn();
  try {
    return await Promise.all([get("/catalogue"), get("/risk/summary")]);
  } catch (error) {
    if (error.status === 401) return ended();
    const refused = [403, 429].includes(error.status);
    signIn(refused ? (error.status === 429 ? error.message : t("error_refused")) : error.status ? t("error_server", { detail: error.message }) : t("error_network"));
    if (!refused) {
      findKey();
      setTimeout(() => location.reload(), 5000);
    }
    return null;
  }
}

function makeParts() {
  const asked = state.at.split(",").map(Number);
  const start = asked.length === 3 && asked.every(Number.isFinite) ? asked : null;
  map = new RiskMap(byId("map"), city.catalogue.networks.map((each) => each.key), start ?? { box: city.summary.extent }, {
    base: city.catalogue.base_map,
    moved: () => {
      if (!watch || !document.body.dataset.ready) return;
      change({ at: map.view });
      watch.moved();
      time.moved();
    },
    chosen: chosenOnMap,
  });
  search = new Search(byId("found"), { failed, open: (asset) => select({ asset }, { go: true }) });
  panel = new Panel(byId("panel"), () => select({}));
  watch = new Watch(map, {
    failed, choose,
    open: (kind, thing) => select({ [kind]: String(thing.id) }, { go: true }),
    reports: (many) => layer("reports", many),
    handover: () => showHandover(() => view("report")),
    panel: () => (panel.open && !panel.busy ? select(chosen(), { visit: false, quiet: true }) : null),
  });
  time = new TimeBar(byId("time"), map, { failed, changed: () => drawFreshness(), live: () => { forget("cells"); forget("pipes"); watch.refresh.cells(); watch.refresh.pipes(); } });
}

async function loadZones() {
  const found = await get("/zones", { status: "active", limit: 1000 }).catch(() => null);
  const features = (found?.features ?? found?.items ?? []).map((each) => each.geometry && { type: "Feature", geometry: each.geometry, properties: { name: (each.properties ?? each).name } }).filter(Boolean);
  if (!features.length) return;
  await map.show("zones", { type: "FeatureCollection", features });
  layer("zones", features.length);
}

/** A layer that not every city has, or not everybody may see: it gets its switch once it is there. */
function layer(name, many) {
  if (many === null) delete layers[name];
  else layers[name] = many;
  drawLayers(map, fit, layers);
}

async function begin() {
  setTheme(remembered("theme", matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark"));
  document.documentElement.lang = lang() === "zh" ? "zh-CN" : "en";
  const found = await enter();
  if (!found) return;
  city.catalogue = found[0];
  stands(found[1]);
  setZone(city.catalogue.timezone);
  byId("page").hidden = false;
  makeParts();
  listen();
  drawWords();
  try {
    await Promise.all([watch.loadEntries(), watch.loadCells(), watch.loadPipes()]);
    map.filter(hidden(), state.network);
    if (state.view) await view(state.view, { visit: false });
    if (CHOICES.some((name) => state[name])) await select(chosen(), { visit: false, go: !state.at }); // a link without a place leads there
    if (state.moment) await time.show();
  } catch (error) {
    failed(error);
  }
  document.body.dataset.ready = "true";
  watch.refresh.sensors();
  watch.refresh.reports();
  watch.refresh.handover();
  loadZones();
  loadChart().catch(failed);
  follow((what) => watch.changed(what), (found) => (found === "refused" ? ended() : streamIs(found)));
  setInterval(drawFreshness, 1000);
  setInterval(() => watch.look(), 15_000);
}

let enters = 0;

/** Enter in the search: to the first that is found, and a second one opens it; pressed before the answer, they wait for it. */
async function take() {
  enters += 1;
  if (enters > 1) return;
  const asked = search.asked;
  if (!document.querySelector("#entries .row")) await search.answered; // what was found for other words is not meant
  const meant = asked === search.asked && document.activeElement === byId("find"); // nobody went on writing
  const found = meant ? /** @type {HTMLElement | null} */ (document.querySelector("#entries .row, #found .member")) : null;
  if (enters > 1) found?.click();
  else found?.focus();
  enters = 0;
}

function listen() {
  document.body.dataset.view = state.view || "watch";
  onBack(() => {
    drawWords();
    view(state.view, { visit: false });
    select(chosen(), { visit: false });
    time.show();
  });
  listenToBulk(on);
  const find = /** @type {HTMLInputElement} */ (byId("find"));
  find.addEventListener("input", () => choose({ find: find.value }));
  find.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return; // which ends a word of Chinese
    event.preventDefault(); // else what gets the focus would be pressed by the same key
    if (!event.repeat) take();
  });
  listenToKeys({
    walk: (step) => walk(byId("entries"), step),
    close: () => (panel.open ? select({}) : state.view ? view("") : null),
    find: () => byId("find").focus(),
    view: (at) => view(VIEWS[at]),
    map: () => byId("panel").querySelector("[data-act=map]")?.click(),
    time: () => byId("time").querySelector("button, [role=slider], input")?.focus(),
  });
}

begin();
