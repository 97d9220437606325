// What the sensors of one place measure: a tab each, the chart over a span, the heartbeat, and where it was heard last.

import { get } from "./api.js";
import { quantityName, now, since } from "./city.js";
import { button, element } from "./element.js";
import { heartbeat } from "./heartbeat.js";
import { clock, number, span, t } from "./i18n.js";
import { colourOf } from "./levels.js";
import { change, state } from "./state.js";

const SPANS = { "24h": 86_400, "7d": 604_800, "30d": 2_592_000, "1y": 31_536_000 };
const LATE = ["battery", "signal"]; // an operator asks for them last

/** The chart and its library; the page asks for them once it stands, so that a panel does not wait, nor needs the network. */
export const loadChart = () => import("./chart.js");

const rank = (sensor) => (LATE.includes(sensor.quantity) ? 1 : 0);

/** The limit that an open alert of this sensor broke, where it is one of its value. */
function limitOf(sensor, alerts) {
  const alert = alerts.find((each) => each.sensor === sensor.id && typeof each.evidence?.limit === "number" && each.evidence.rate === undefined && each.evidence.unit !== "score" && (!each.evidence.quantity || each.evidence.quantity === sensor.quantity));
  return alert && { value: alert.evidence.limit, colour: colourOf(alert.level) };
}

export class Measurements {
  /**
   * @param {any[]} sensors @param {{chosen?: number, alerts?: any[], failed: (error: Error) => void}} how
   */
  constructor(sensors, { chosen, alerts = [], failed }) {
    this.sensors = [...sensors].sort((a, b) => Number(b.id === chosen) - Number(a.id === chosen) || rank(a) - rank(b));
    this.alerts = alerts;
    this.failed = failed;
    this.sensor = this.sensors[0];
    this.plotted = element("div", { class: "chart" });
    this.beat = element("div", { class: "beat" });
    this.detail = element("p", { class: "meta" });
    this.chart = null; // its library is read when the first chart is wanted: the map comes first
  }

  /** The section, or a word that there is none. */
  draw() {
    if (!this.sensor) return element("section", {}, element("p", { class: "dim" }, t("no_sensors")));
    this.tabs = this.sensors.map((sensor) => this.tab(sensor));
    this.spans = Object.keys(SPANS).map((name) => button({ class: "plain", "aria-pressed": String(name === state.span), onclick: () => this.over(name) }, t(`span_${name}`)));
    queueMicrotask(() => this.pick(this.sensor));
    this.row = element("div", { class: "sensor-tabs", role: "group", "aria-label": t("sensors") }, ...this.tabs);
    this.section = element("section", { class: "measurements" },
      element("div", { class: "heading" }, element("h4", {}, t("measurements")), element("div", { class: "spans", role: "group", "aria-label": t("span") }, ...this.spans)),
      this.row, this.plotted, this.beat, this.detail);
    return this.section;
  }

  /** The same sensors with newer readings: the tabs anew, the chart in its place. */
  update(sensors, alerts) {
    const newer = new Map(sensors.map((each) => [each.id, each]));
    this.sensors = this.sensors.map((each) => newer.get(each.id) ?? each);
    this.sensor = newer.get(this.sensor.id) ?? this.sensor;
    this.alerts = alerts;
    this.tabs = this.sensors.map((sensor) => this.tab(sensor));
    const { scrollLeft } = this.row;
    this.row.replaceChildren(...this.tabs);
    queueMicrotask(() => { this.row.scrollLeft = scrollLeft; this.pick(this.sensor); });
    return this.section;
  }

  tab(sensor) {
    const age = sensor.newest ? since(sensor.newest.ts) : null;
    const when = age === null ? t("never") : sensor.silent ? t("silent_for", { age: span(age) }) : t("ago", { age: span(age) });
    return button({ class: sensor.silent ? "silent" : "", title: `${sensor.device} · ${sensor.channel}`, onclick: () => this.pick(sensor) },
      element("span", {}, quantityName(sensor.quantity)), element("b", {}, number(sensor.newest?.value, sensor.unit)), element("small", {}, when));
  }

  over(name) {
    change({ span: name });
    this.spans.forEach((each, at) => each.setAttribute("aria-pressed", String(Object.keys(SPANS)[at] === name)));
    this.pick(this.sensor);
  }

  /** Show a sensor; of two asked for at once the newer wins. */
  async pick(sensor) {
    this.sensor = sensor;
    this.sensors.forEach((each, at) => this.tabs[at].setAttribute("aria-pressed", String(each.id === sensor.id)));
    const length = SPANS[state.span] ?? SPANS["24h"];
    const end = now();
    const turn = (this.turn = {});
    try {
      const from = new Date(end - length * 1000).toISOString();
      const day = new Date(end - SPANS["24h"] * 1000).toISOString();
      const [{ Chart }, series, beats, usual] = await Promise.all([
        loadChart(),
        get(`/sensors/${sensor.id}/readings`, { from, to: new Date(end + 1000).toISOString() }),
        get(`/sensors/${sensor.id}/readings`, { from: day, resolution: "15m" }),
        length <= SPANS["30d"] ? get(`/sensors/${sensor.id}/usual`) : { hours: [] },
      ]);
      if (turn !== this.turn) return;
      this.chart ??= new Chart(this.plotted);
      this.chart.draw(series, { limit: limitOf(sensor, this.alerts), usual: usual.hours, from: end / 1000 - length, to: end / 1000 });
      this.beat.replaceChildren(heartbeat(beats, end));
      this.describe(sensor, series, usual);
    } catch (error) {
      if (turn === this.turn) this.failed(error);
    }
  }

  describe(sensor, series, usual) {
    const words = [
      `${sensor.device} · ${sensor.channel}`,
      sensor.newest ? `${t("newest")} ${clock(sensor.newest.ts)}` : t("never"),
      sensor.newest?.quality.length ? sensor.newest.quality.map((mark) => t(mark)).join(", ") : "",
      t("longest_silence", { age: span(sensor.max_silence_s) }),
      usual.days ? t("usual_of", { n: usual.days }) : "",
      series.truncated ? t("truncated") : "",
    ];
    this.detail.textContent = words.filter(Boolean).join(" · ");
  }

  close() {
    this.turn = null;
    this.chart?.close();
  }
}
