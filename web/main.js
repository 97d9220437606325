// Puts the page together: fetches what changed, draws it, and says when it is stale.

import { findKey, forgetKey, get, getIfChanged, useKey } from "./api.js";
import { clock, lang, named, span, switchLanguage, t } from "./i18n.js";
import { ALL, badge } from "./levels.js";
import { drawKinds, drawList, drawTiles, element, labelOf, placeOf, walk } from "./list.js";
import { follow } from "./live.js";
import { RiskMap, extent, layerNames } from "./map.js";
import { Panel } from "./panel.js";
import { change, onBack, remember, remembered, state } from "./state.js";

const STALE_DATA_S = 300;
const $ = (id) => document.getElementById(id);

let catalogue;
let map;
let panel;
let summary;
let alerts = [];
let stream = "connecting";
let streamSince = Date.now();
let failure = "";
let known = null; // ids of red alerts that were seen, so that a new one is announced once
const skew = { ms: 0 }; // the server's clock less ours: ages must not depend on a wall display's clock

const names = {
  level: (level) => (level === "unknown" ? t("unknown") : named(catalogue.levels.find((each) => each.key === level))),
  network: (key) => named(catalogue.networks.find((each) => each.key === key)) || key,
  quantity: (key) => named(catalogue.quantities.find((each) => each.key === key)) || key || "",
};
const now = () => Date.now() + skew.ms;

function hidden() {
  return new Set(state.off.split(",").filter(Boolean));
}

function filtered() {
  return alerts.filter((each) => each.kind === state.kind && (!state.network || each.network === state.network) && (!state.level || each.level === state.level));
}

// ------------------------------------------------------------------------------------------------------- fetching

async function guarded(work) {
  try {
    await work();
    failure = "";
  } catch (error) {
    failed(error);
  }
  drawFreshness();
}

function failed(error) {
  if (error.status === 401) return signIn(t("error_refused"));
  failure = error.status ? t("error_server", { detail: error.message }) : t("error_network");
  if (!error.status) console.warn(error.message);
}

async function loadSummary() {
  summary = await get("/risk/summary");
  skew.ms = new Date(summary.now) - Date.now();
  drawCounts();
}

async function loadAlerts() {
  alerts = (await get("/alerts", { state: "open", order: "worst", limit: 500 })).items;
  announce();
  drawAlerts();
}

async function loadCells() {
  const found = await getIfChanged("cells", "/risk/cells", { resolution: map.resolution });
  if (found) await map.show("cells", found);
  return found;
}

let wholeCity = true; // whether all pipes were sent at once, so that moving asks for nothing

async function loadPipes() {
  const parameters = wholeCity ? { limit: 5000 } : { bbox: map.box, limit: 5000 };
  const found = await getIfChanged("pipes", "/risk/segments", parameters);
  if (!found) return null;
  if (wholeCity && found.truncated) wholeCity = false;
  await map.show("pipes", found);
  return found;
}

async function loadSensors() {
  const items = [];
  for (let after; items.length < 3000; ) {
    const page = await get("/sensors", { bbox: map.box, limit: 1000, after });
    items.push(...page.items);
    if (!(after = page.next)) break;
  }
  const features = items
    .filter((each) => each.longitude !== null)
    .map((each) => ({ type: "Feature", geometry: { type: "Point", coordinates: [each.longitude, each.latitude] }, properties: { id: each.id, asset: each.asset, network: each.network, silent: each.silent } }));
  await map.show("sensors", { type: "FeatureCollection", features });
}

/** At most one run at a time of each, and one more where something changed meanwhile; readings no faster than `restMs`. */
function single(work, restMs = 0) {
  let running = false;
  let again = false;
  return async function run() {
    if (running) {
      again = true;
      return;
    }
    running = true;
    await guarded(work);
    setTimeout(() => {
      running = false;
      if (again) {
        again = false;
        run();
      }
    }, restMs);
  };
}

const refresh = {
  summary: single(loadSummary, 1000),
  alerts: single(loadAlerts),
  cells: single(loadCells),
  pipes: single(loadPipes),
  sensors: single(loadSensors, 10_000),
  panel: single(() => (panel.open && !state.cell ? panel.show(state, { quiet: true }) : null), 5000),
};

function changed(what) {
  refresh.summary();
  if (what.has("alert")) refresh.alerts();
  if (what.has("risk")) {
    refresh.cells();
    refresh.pipes();
  }
  if (what.has("inventory")) refresh.pipes();
  if (what.has("inventory") || what.has("reading")) refresh.sensors();
  if (what.has("alert") || what.has("reading") || what.has("risk")) refresh.panel();
}

// -------------------------------------------------------------------------------------------------------- drawing

function drawCounts() {
  if (!summary) return;
  drawTiles($("tiles"), summary.alerts[state.kind] ?? {}, state.level, names.level, (level) => choose({ level }));
  drawKinds($("kinds"), summary.alerts, state.kind, (kind) => choose({ kind, level: "" }));
  drawLegend();
  drawFreshness();
}

function drawAlerts() {
  const open = (alert) => select({ alert: String(alert.id) }, { go: true });
  drawList($("alerts"), filtered(), { chosen: state.alert, names, now: now(), onOpen: open, filtered: Boolean(state.network || state.level) });
  map.alerts(alerts.filter((each) => each.kind === "risk" && (!state.network || each.network === state.network)), labelOf(names.level));
}

function announce() {
  const reds = alerts.filter((each) => each.level === "red" && each.kind === "risk" && each.state === "UNACK");
  const fresh = known ? reds.filter((each) => !known.has(each.id)) : [];
  known = new Set(reds.map((each) => each.id));
  if (fresh.length) $("spoken").textContent = t("new_red", { place: fresh.map(placeOf).join(", ") });
  document.title = (reds.length ? `(${reds.length}) ● ${names.level("red")} · ` : "") + catalogue.title;
  $("favicon").href = reds.length ? "/icons/red.svg" : "/icons/calm.svg";
}

function drawLegend() {
  const cells = summary.cells[map.resolution];
  const rows = ALL.map((level) => element("tr", { class: cells[level] || summary.segments[level] ? "" : "none" },
    element("th", {}, badge(level, 17), names.level(level)), element("td", {}, String(cells[level])), element("td", {}, String(summary.segments[level]))));
  const head = element("tr", {}, element("th", {}, t("legend")), element("td", {}, t("cells")), element("td", {}, t("pipes")));
  $("legend").replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)), element("p", {}, t("unknown_hint")));
}

function drawLayers() {
  const off = hidden();
  const toggle = (name) => () => {
    if (!off.delete(name)) off.add(name);
    change({ off: [...off].join(",") });
    map.filter(off, state.network);
    drawLayers();
  };
  const networks = catalogue.networks.map((each) => each.key);
  const title = (name, text) => (networks.includes(name) ? names.network(name) : text);
  $("layers").replaceChildren(
    ...layerNames(networks).map(([name, text]) => element("button", { type: "button", class: `layer ${name}`, "aria-pressed": String(!off.has(name)), onclick: toggle(name) }, element("i", { class: `sample ${name}` }), title(name, text))),
    element("button", { type: "button", class: "layer fit", onclick: fit }, element("i", { class: "sample fit" }), t("fit")));
}

function drawNetworks() {
  const chip = (key, text) => element("button", { type: "button", "aria-pressed": String(state.network === key), onclick: () => choose({ network: key }) }, text);
  $("networks").replaceChildren(chip("", t("all")), ...catalogue.networks.map((each) => chip(each.key, named(each))));
}

function drawFreshness() {
  const asOf = summary?.data_as_of ? new Date(summary.data_as_of) : null;
  const age = asOf ? (now() - asOf) / 1000 : 0;
  const lostFor = stream === "live" ? 0 : (Date.now() - streamSince) / 1000;
  const place = $("freshness");
  place.className = stream === "live" && age < STALE_DATA_S ? "live" : stream === "lost" ? "lost" : "late";
  place.querySelector(".label").textContent = `${t(stream)} · ${t("data_as_of")}`;
  place.querySelector("time").textContent = asOf ? clock(asOf) : "–";
  const said = failure
    || (lostFor > 5 && summary ? t("stale_stream", { time: clock(summary.now) }) : "")
    || (asOf && age > STALE_DATA_S ? t("stale_data", { time: clock(asOf), age: span(age) }) : "");
  $("banner").hidden = !said;
  if ($("banner").textContent !== said) $("banner").textContent = said;
}

function drawWords() {
  document.documentElement.lang = lang() === "zh" ? "zh-CN" : "en";
  $("title").textContent = catalogue.title;
  $("language").textContent = t("language");
  $("theme").textContent = "◐";
  $("theme").title = t("theme");
  $("theme").setAttribute("aria-label", t("theme"));
  $("signout").textContent = t("sign_out");
  drawNetworks();
  drawLayers();
  drawCounts();
  announce();
  drawAlerts();
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  remember("theme", theme);
}

// ------------------------------------------------------------------------------------------------------- choosing

function choose(values) {
  change(values);
  drawNetworks();
  drawCounts();
  drawAlerts();
  map.filter(hidden(), state.network);
}

async function select(chosen, { go = false, visit = true } = {}) {
  change({ alert: "", asset: "", sensor: "", cell: "", ...chosen }, { visit });
  drawAlerts();
  if (state.cell) return showCell();
  if (!state.alert && !state.asset && !state.sensor) {
    panel.close();
    return map.choose("");
  }
  return guarded(async () => {
    const found = await panel.show(state);
    map.choose(found.thing?.id);
    const at = found.alerts[0];
    if (go && at?.longitude !== null && at?.longitude !== undefined) map.goTo(at.longitude, at.latitude);
  });
}

function showCell() {
  const cell = map.data.cells.features.find(({ properties }) => properties.cell === state.cell);
  if (!cell) return panel.close();
  return panel.showCell(cell.properties, (asset) => select({ asset }), (alert) => select({ alert: String(alert) }));
}

function fit() {
  const box = extent(map.data.pipes) ?? extent(map.data.cells);
  if (box) map.fit(box);
}

// ----------------------------------------------------------------------------------------------------------- begin

function signIn(wrong = "") {
  forgetKey();
  $("page").hidden = true;
  const form = $("signin");
  form.hidden = false;
  form.querySelector("label").textContent = t("key");
  form.querySelector("[type=submit]").textContent = t("sign_in");
  form.querySelector(".wrong").textContent = wrong;
  $("signin-language").textContent = t("language");
  $("signin-language").onclick = () => {
    switchLanguage();
    signIn();
  };
  form.onsubmit = (event) => {
    event.preventDefault();
    useKey($("key").value);
    location.reload();
  };
  $("key").focus();
}

async function begin() {
  setTheme(remembered("theme", matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark"));
  document.documentElement.lang = lang() === "zh" ? "zh-CN" : "en";
  if (!findKey()) return signIn();
  try {
    catalogue = await get("/catalogue");
  } catch (error) {
    if (error.status === 401 || error.status === 403 || error.status === 429) return signIn(error.status === 429 ? error.message : t("error_refused"));
    signIn(error.status ? t("error_server", { detail: error.message }) : t("error_network"));
    findKey();
    return setTimeout(() => location.reload(), 5000);
  }
  $("page").hidden = false;
  const view = state.at.split(",").map(Number);
  const moved = () => {
    change({ at: map.view });
    refresh.cells();
    if (!wholeCity) refresh.pipes();
    refresh.sensors();
    if (summary) drawLegend();
  };
  map = new RiskMap("map", catalogue.networks.map((each) => each.key), view.length === 3 && view.every(Number.isFinite) ? view : null, {
    moved: () => map && moved(),
    chosen: (found) => select(found ?? {}),
  });
  panel = new Panel($("panel"), names, { closed: () => select({}), changed: () => changed(new Set(["alert", "risk"])), failed });
  listen();
  drawWords();
  await guarded(async () => {
    await Promise.all([loadSummary(), loadPipes(), loadAlerts()]);
    if (view.length !== 3) fit();
    map.filter(hidden(), state.network);
    await Promise.all([loadCells(), loadSensors()]);
    if (state.alert || state.asset || state.sensor || state.cell) await select({ alert: state.alert, asset: state.asset, sensor: state.sensor, cell: state.cell }, { visit: false });
  });
  document.body.dataset.ready = "true";
  follow(changed, (found) => {
    if (found === "refused") return signIn(t("error_refused"));
    if (found !== stream) streamSince = Date.now();
    stream = found;
    drawFreshness();
  });
  setInterval(drawFreshness, 1000);
  setInterval(drawAlerts, 30_000); // ages
}

function listen() {
  walk($("alerts"));
  onBack(() => {
    drawWords();
    select({ alert: state.alert, asset: state.asset, sensor: state.sensor, cell: state.cell }, { visit: false });
  });
  $("language").addEventListener("click", () => {
    switchLanguage();
    drawWords();
    map.show("pipes", map.data.pipes);
    if (panel.open) select({ alert: state.alert, asset: state.asset, sensor: state.sensor, cell: state.cell }, { visit: false });
  });
  $("theme").addEventListener("click", () => {
    setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    map.dress();
    refresh.panel();
  });
  $("signout").addEventListener("click", () => {
    forgetKey();
    location.reload();
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && panel.open) select({});
  });
}

begin();
