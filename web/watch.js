// What the watch looks at, kept up to date: incidents and alerts in the list, cells, pipes and sensors on the map.

import { all, get, getIfChanged } from "./api.js";
import { city, levelName, since, stands } from "./city.js";
import { byId, write } from "./element.js";
import { OPEN, PIPES } from "./first.js";
import { forgetGone } from "./bulk.js";
import { REPORTS } from "./citizens.js";
import { doubt, drawFreshness, freshness } from "./freshness.js";
import { t } from "./i18n.js";
import { drawFilters, drawList, drawTiles, filtered, isNew, kindOf, labelOf, placeOf } from "./incidents.js";
import { drawLegend } from "./legend.js";
import { LEVELS } from "./levels.js";
import { chime } from "./sound.js";
import { state } from "./state.js";

const MOST_SENSORS = 3000;
const SUMMARY_S = 15;

/** At most one run at a time of each, and one more where something changed meanwhile; no faster than `restMs`. */
function single(work, failed, restMs = 0) {
  let running = false;
  let again = false;
  return async function run() {
    if (running) {
      again = true;
      return;
    }
    running = true;
    try {
      await work();
      freshness.failure = "";
    } catch (error) {
      failed(error);
    }
    drawFreshness();
    setTimeout(() => {
      running = false;
      if (!again) return;
      again = false;
      run();
    }, restMs);
  };
}

export class Watch {
  /**
   * @param {any} map @param {{failed: (error: any) => void, open: (kind: string, thing: any) => void, choose: (values: any) => void, panel: () => void, handover: () => Promise<void>, reports: (many: number | null) => void}} on
   */
  constructor(map, on) {
    this.map = map;
    this.on = on;
    this.incidents = [];
    this.alerts = [];
    this.known = null; // reds that were seen, so that a new one is announced once
    this.wholeCity = true; // whether all pipes were sent at once, so that moving asks for nothing
    this.zones = 0;
    const once = (work, restMs) => single(() => work.call(this), on.failed, restMs);
    this.refresh = {
      summary: once(this.loadSummary, 1000),
      entries: once(this.loadEntries, 250),
      cells: once(this.loadCells),
      pipes: once(this.loadPipes, 1000),
      sensors: once(this.loadSensors, 10_000),
      reports: once(this.loadReports, 1000),
      handover: single(() => on.handover(), on.failed, 1000),
      panel: single(async () => on.panel(), on.failed, 5000),
    };
  }

  /** @param {Set<string>} what of the live stream */
  changed(what) {
    const has = (...names) => names.some((name) => what.has(name));
    this.refresh.summary();
    if (has("alert", "incident")) this.refresh.entries();
    if (!state.moment && has("risk")) this.refresh.cells();
    if (!state.moment && has("risk", "inventory")) this.refresh.pipes();
    if (has("inventory", "reading")) this.refresh.sensors();
    if (has("report")) this.refresh.reports();
    if (has("handover")) this.refresh.handover();
    if (has("alert", "incident", "reading", "report")) this.refresh.panel();
  }

  moved() {
    if (!state.moment) this.refresh.cells();
    if (!this.wholeCity && !state.moment) this.refresh.pipes();
    this.refresh.sensors();
    drawLegend(this.map.resolution);
  }

  /** Where nothing changes nothing is fetched, and how the city stands would look old. */
  look() {
    if (freshness.stream === "live" && since(city.summary.now) > SUMMARY_S) this.refresh.summary();
    this.draw(); // ages and deadlines
  }

  async loadSummary() {
    const before = doubt();
    stands(await get("/risk/summary"));
    if (doubt() !== before) this.draw();
    drawLegend(this.map.resolution);
  }

  async loadEntries() {
    const [incidents, alerts, cases] = await Promise.all([all("/incidents", OPEN), all("/alerts", OPEN), get("/caseload")]);
    const byIncident = new Map(cases.items.map((each) => [each.incident, each]));
    const byAlert = new Map(cases.items.filter((each) => each.incident === null).map((each) => [each.alert, each]));
    this.alerts = alerts.map((each) => ({ ...each, response: byAlert.get(each.id) }));
    const fresh = new Set(alerts.filter((each) => each.state === "UNACK").map((each) => each.id));
    const lasting = new Set(alerts.filter((each) => each.state !== "RTNUN").map((each) => each.incident));
    this.incidents = incidents.map((each) => ({ ...each, response: byIncident.get(each.id), unacknowledged: each.alert_ids.filter((id) => fresh.has(id)).length, over: each.open_alerts > 0 && !lasting.has(each.id) }));
    this.announce();
    this.draw();
    forgetGone([...this.risks, ...this.maintenance].map((each) => ({ kind: kindOf(each), id: each.id })));
  }

  async loadCells() {
    const found = await getIfChanged("cells", "/risk/cells", { resolution: this.map.resolution });
    if (found && !state.moment) await this.map.show("cells", found);
  }

  async loadPipes() {
    const parameters = this.wholeCity ? PIPES : { bbox: this.map.box, ...PIPES };
    const found = await getIfChanged("pipes", "/risk/segments", parameters);
    if (!found || state.moment) return;
    if (found.truncated) this.wholeCity = false;
    await this.map.show("pipes", found);
  }

  /** What citizens have told and nobody has answered yet. Who may not read reports sees none, and no switch for them. */
  async loadReports() {
    try {
      const found = await getIfChanged("reports", "/reports", REPORTS);
      if (!found) return;
      this.reports = found.features.length;
      await this.map.show("reports", found);
    } catch (error) {
      if (error.status !== 403) throw error;
      this.reports = null;
    }
    this.on.reports(this.reports);
  }

  /** From far away a city's sensors are too many to be told apart: they come when one looks closer. */
  async loadSensors() {
    const near = this.map.zoom >= 13;
    if (!near && this.sensorsInAll === undefined) this.sensorsInAll = (await get("/system")).counts.sensors;
    const items = [];
    for (let after; (near || this.sensorsInAll <= MOST_SENSORS) && items.length < MOST_SENSORS; ) {
      const page = await get("/sensors", { bbox: this.map.box, limit: 1000, after });
      items.push(...page.items);
      if (!(after = page.next)) break;
    }
    const features = items
      .filter((each) => each.longitude !== null)
      .map((each) => ({ type: "Feature", geometry: { type: "Point", coordinates: [each.longitude, each.latitude] }, properties: { id: each.id, asset: each.asset, network: each.network, silent: each.silent } }));
    await this.map.show("sensors", { type: "FeatureCollection", features });
  }

  /** Incidents, and risk alerts that belong to none: grouping may be behind, and nothing that is open may be missed. */
  get risks() {
    const alone = this.alerts.filter((each) => each.kind === "risk" && each.incident === null);
    return alone.length ? [...this.incidents, ...alone].sort((a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level)) : this.incidents;
  }

  get maintenance() {
    return this.alerts.filter((each) => each.kind === "maintenance");
  }

  draw() {
    const { risks, maintenance } = this;
    const listed = state.kind === "risk" ? risks : maintenance;
    drawTiles(byId("tiles"), listed, this.on.choose);
    drawFilters(byId("filters"), { risk: risks.length, maintenance: maintenance.length }, this.on.choose);
    drawList(byId("entries"), filtered(listed), this.on.open);
    this.map.marks(risks.filter((each) => !state.network || (each.networks ?? [each.network]).includes(state.network)), kindOf, labelOf);
  }

  /** The title, the icon, and for a new red the voice and the sound. */
  announce() {
    const name = (each) => `${kindOf(each)} ${each.id}`;
    const reds = this.risks.filter((each) => each.level === "red" && isNew(each));
    const fresh = this.known ? reds.filter((each) => !this.known.has(name(each))) : [];
    this.known = new Set(reds.map(name));
    if (fresh.length) {
      byId("spoken").textContent = t("new_red", { place: fresh.map(placeOf).join(", ") });
      chime();
    }
    write(document, "title", (reds.length ? `(${reds.length}) ● ${levelName("red")} · ` : "") + city.catalogue.title);
    write(byId("favicon"), "href", new URL(reds.length ? "/icons/red.svg" : "/icons/calm.svg", location.href).href);
  }
}
