// The side panel: one place with its alerts, sensors, risk by its parts and what it is made of; or one cell.

import { get, post } from "./api.js";
import { Chart } from "./chart.js";
import { clock, named, number, place, span, t } from "./i18n.js";
import { badge, colourOf } from "./levels.js";
import { element, placeOf, stateName, titleOf } from "./list.js";

const PARTS = ["mean", "material", "age", "diameter", "soil", "condition", "breaks", "length", "supply", "customers", "facility", "road", "size", "live", "incident", "joined", "coupling"];
const ACTIONS = { acknowledged: "acknowledged_action", returned: "returned_action", closed: "closed_action" };

export class Panel {
  /** `names`: level(), network(), quantity(); `on`: closed(), changed(), failed(error) */
  constructor(parent, names, on) {
    this.parent = parent;
    this.names = names;
    this.on = on;
    this.shown = 0;
  }

  get open() {
    return !this.parent.hidden;
  }

  close() {
    this.shown += 1;
    this.chart?.close();
    this.chart = null;
    this.parent.hidden = true;
    this.parent.replaceChildren();
  }

  /** What is chosen, from the state: an alert leads to its asset; an asset or a sensor without one stands for itself. */
  async show({ alert, asset, sensor }, { quiet = false } = {}) {
    const turn = (this.shown += 1);
    const typed = this.parent.querySelector("textarea")?.value;
    const found = await this.fetch({ alert, asset, sensor });
    if (turn !== this.shown || (quiet && this.parent.querySelector("textarea:focus, details.history[open]"))) return found;
    const scrolled = this.parent.scrollTop;
    this.draw(found);
    if (quiet) this.parent.scrollTop = scrolled;
    else this.parent.focus({ preventScroll: true });
    if (quiet && typed) this.parent.querySelector("textarea")?.replaceChildren(typed);
    return found;
  }

  async fetch({ alert, asset, sensor }) {
    const chosen = alert ? await get(`/alerts/${alert}`) : null;
    const where = chosen ? chosen.asset : asset;
    const lone = chosen?.sensor ?? sensor;
    const filter = where ? { asset: where } : lone ? { sensor: lone } : null;
    const [thing, risk, open, single] = await Promise.all([
      where ? get(`/assets/${encodeURIComponent(where)}`) : null,
      where ? get(`/risk/assets/${encodeURIComponent(where)}`) : null,
      filter ? get("/alerts", { ...filter, state: "open", order: "worst" }) : { items: [] },
      !where && lone ? get(`/sensors/${lone}`) : null,
    ]);
    const others = await Promise.all(open.items.filter((each) => each.id !== chosen?.id).slice(0, 5).map((each) => get(`/alerts/${each.id}`)));
    return { alerts: chosen ? [chosen, ...others] : others, thing, risk, sensors: thing?.sensors ?? (single ? [single] : []), sensor: lone };
  }

  draw({ alerts, thing, risk, sensors, sensor }) {
    this.chart?.close();
    const level = alerts[0]?.closed_at === null ? alerts[0].level : risk?.level;
    const title = thing ? place(thing.name) || thing.id : alerts[0] ? placeOf(alerts[0]) : place(sensors[0]?.name) || "";
    const first = thing ?? alerts[0] ?? sensors[0];
    const subtitle = [first && this.names.network(first.network), thing && t(thing.kind), thing?.id ?? alerts[0]?.device ?? sensors[0]?.device];
    this.parent.replaceChildren(
      this.head(level, title, subtitle.filter(Boolean).join(" · ")),
      ...alerts.map((alert) => this.alert(alert)),
      this.measurements(sensors, Number(sensor), alerts),
      risk ? this.risk(risk) : "",
      thing ? this.facts(thing) : "",
    );
    this.parent.hidden = false;
  }

  head(level, title, subtitle) {
    const close = element("button", { type: "button", class: "plain close", title: t("close"), "aria-label": t("close"), onclick: () => this.on.closed() }, "✕");
    const words = element("div", {}, element("h2", {}, title), element("p", {}, level ? `${this.names.level(level)} · ${subtitle}` : subtitle));
    return element("header", { class: level ?? "" }, level ? badge(level, 34) : "", words, close);
  }

  alert(alert) {
    const parts = [
      element("h3", {}, badge(alert.level, 20), element("span", {}, titleOf(alert)), element("span", { class: `state ${alert.state}` }, stateName(alert.state))),
      element("p", { class: "why" }, this.inWords(alert)),
      element("p", { class: "meta" }, `${clock(alert.raised_at)} · ${t("ago", { age: span((Date.now() - new Date(alert.raised_at)) / 1000) })}`),
    ];
    if (alert.acknowledged_by) parts.push(element("p", { class: "meta" }, t("by", { who: alert.acknowledged_by, when: clock(alert.acknowledged_at) })));
    if (alert.evidence.advice) parts.push(element("div", { class: "advice" }, element("h4", {}, t("advice")), element("p", {}, named(alert.evidence.advice))));
    if (["UNACK", "RTNUN"].includes(alert.state)) parts.push(this.acknowledge(alert));
    parts.push(this.history(alert));
    return element("section", { class: `alert ${alert.level}`, "data-alert": alert.id }, ...parts);
  }

  /** The evidence as a sentence. */
  inWords(alert) {
    const { evidence, unit } = alert;
    const of = (value) => number(value, evidence.unit || unit);
    const quantity = this.names.quantity(evidence.quantity || alert.quantity);
    if (evidence.condition === "last_will") return t("last_will");
    if (evidence.silent_s !== undefined && evidence.silent_s !== null) return t("silence", { age: span(evidence.silent_s), longest: span(evidence.longest_silence_s ?? 0) });
    const values = { quantity, value: of(evidence.value), limit: of(evidence.limit), rate: of(evidence.rate) };
    const sentence = evidence.rate !== undefined ? t("rate", values) : evidence.limit !== undefined ? t(evidence.condition === "below" ? "below" : "above", values) : "";
    const peak = evidence.peak !== undefined && evidence.peak !== null && evidence.peak !== evidence.value ? ` · ${t("peak", { value: of(evidence.peak) })}` : "";
    const rest = () => Object.entries(evidence).filter(([, value]) => typeof value !== "object").map(([name, value]) => `${name} ${value}`).join(" · ");
    return sentence ? sentence + peak : rest();
  }

  acknowledge(alert) {
    const note = element("textarea", { rows: "1", maxlength: "2000", placeholder: t("note"), "aria-label": t("note") });
    const wrong = element("p", { class: "wrong", role: "alert" });
    const button = element("button", { type: "submit", class: "primary", accesskey: "a" }, t("acknowledge"));
    const send = async (event) => {
      event.preventDefault();
      button.disabled = true;
      button.textContent = t("acknowledging");
      try {
        await post(`/alerts/${alert.id}/acknowledge`, { note: note.value, version: alert.version });
        this.parent.focus({ preventScroll: true });
        note.blur();
        this.on.changed();
      } catch (error) {
        button.disabled = false;
        button.textContent = t("acknowledge");
        wrong.textContent = error.status === 403 ? t("need_role") : error.status === 409 ? t("conflict") : error.message;
        if (error.status === 409) this.on.changed();
        if (error.status === 401) this.on.failed(error);
      }
    };
    return element("form", { class: "acknowledge", onsubmit: send }, note, button, wrong);
  }

  history(alert) {
    const line = (each) => element("li", {},
      element("time", { datetime: each.at }, clock(each.at)),
      element("span", {}, badge(each.to_level, 14), ` ${t(ACTIONS[each.action] ?? each.action)} · ${each.actor === "detector" ? t("detector") : each.actor}`, each.note ? element("q", {}, each.note) : ""));
    return element("details", { class: "history" }, element("summary", {}, `${t("history")} (${alert.history.length})`), element("ol", {}, ...alert.history.map(line)));
  }

  measurements(sensors, chosen, alerts) {
    if (!sensors.length) return element("section", {}, element("p", { class: "dim" }, t("no_sensors")));
    const ranked = [...sensors].sort((a, b) => (b.id === chosen) - (a.id === chosen) || rank(a) - rank(b));
    const canvas = element("div", { class: "chart" });
    const tabs = ranked.map((sensor) => this.tab(sensor, () => pick(sensor)));
    const pick = (sensor) => {
      ranked.forEach((each, at) => tabs[at].setAttribute("aria-selected", String(each.id === sensor.id)));
      this.plot(sensor, alerts.find((alert) => alert.sensor === sensor.id && alert.evidence.limit !== undefined && alert.evidence.rate === undefined));
    };
    this.chart = new Chart(canvas);
    queueMicrotask(() => pick(ranked[0]));
    return element("section", {}, element("h4", {}, t("last_24h")), element("div", { class: "sensor-tabs", role: "tablist" }, ...tabs), canvas);
  }

  tab(sensor, onclick) {
    const age = sensor.newest ? (Date.now() - new Date(sensor.newest.ts)) / 1000 : null;
    const when = age === null ? t("never") : sensor.silent ? t("silent_for", { age: span(age) }) : t("ago", { age: span(age) });
    return element("button", { type: "button", role: "tab", class: sensor.silent ? "silent" : "", title: `${sensor.device} · ${sensor.channel}`, onclick },
      element("span", {}, this.names.quantity(sensor.quantity)), element("b", {}, number(sensor.newest?.value, sensor.unit)), element("small", {}, when));
  }

  async plot(sensor, alert) {
    const chart = this.chart;
    try {
      const series = await get(`/sensors/${sensor.id}/readings`);
      if (chart === this.chart) chart.draw(series, alert && { value: alert.evidence.limit, colour: colourOf(alert.level) });
    } catch (error) {
      this.on.failed(error);
    }
  }

  risk(risk) {
    const parts = PARTS.map((name) => risk.parts.find((part) => part.part === name)).filter(Boolean);
    const bar = (part) => {
      const fill = element("i", { class: part.points < 0 ? "less" : "" });
      fill.style.width = `${Math.min(100, Math.abs(part.points))}%`;
      const value = part.value === null || typeof part.value === "object" ? "" : part.value === true ? t("yes") : typeof part.value === "number" ? number(part.value) : String(part.value).replaceAll("_", " ");
      return element("tr", {}, element("th", {}, t(part.part === "live" ? "live_part" : part.part), element("small", {}, value)), element("td", {}, element("div", { class: "bar" }, fill)), element("td", { class: "points" }, `${part.points >= 0 ? "+" : "−"}${Math.abs(part.points).toFixed(1)}`));
    };
    const score = risk.score === null ? t("not_assessed") : element("span", { class: "score" }, element("b", {}, risk.score.toFixed(0)), " / 100");
    return element("section", { class: "risk" }, element("h4", {}, t("risk_parts")), element("p", {}, badge(risk.level, 22), ` ${this.names.level(risk.level)} `, score), element("table", {}, element("tbody", {}, ...parts.map(bar))));
  }

  facts(thing) {
    const rows = [
      ["material", thing.material?.replaceAll("_", " ")], ["diameter", thing.diameter_mm && `${number(thing.diameter_mm)} mm`], ["install_year", thing.install_year],
      ["length", thing.length_m && number(thing.length_m, "m")], ["depth", thing.depth_m && number(thing.depth_m, "m")], ["customers", thing.customers && number(thing.customers)],
      ["critical", thing.critical && t("yes")], ["from_to", thing.from_asset && `${thing.from_asset} → ${thing.to_asset ?? ""}`],
    ].filter(([, value]) => value);
    return element("section", {}, element("h4", {}, t("facts")), element("dl", {}, ...rows.flatMap(([name, value]) => [element("dt", {}, t(name)), element("dd", {}, String(value))])));
  }

  /** A hexagon: what the map knows of it already. */
  showCell(properties, onAsset, onAlert) {
    this.shown += 1;
    this.chart?.close();
    this.chart = null;
    const reason = (each) => each.reason === "alert"
      ? element("button", { type: "button", class: "reason", onclick: () => onAlert(each.alert) }, badge(each.level, 16), each.rule)
      : element("button", { type: "button", class: "reason", onclick: () => onAsset(each.asset) }, `${t(each.part)} +${each.points.toFixed(1)}`, element("small", {}, each.asset));
    const rows = [
      ["max_score", properties.score.toFixed(1)], ["mean_score", properties.mean.toFixed(1)], ["coverage", t(`coverage_${properties.coverage}`)], ["cell_assets", properties.assets],
      ["cell_length", number(properties.length_m, "m")], ["cell_sensors", properties.sensors_silent ? `${properties.sensors} (${t("silent")} ${properties.sensors_silent})` : properties.sensors],
    ];
    this.parent.replaceChildren(
      this.head(properties.level, `${t("cell")} ${this.names.level(properties.level)}`, properties.cell),
      properties.level === "unknown" ? element("section", {}, element("p", { class: "why" }, t("unknown_hint"))) : "",
      element("section", {}, element("h4", {}, t("reasons")), element("div", { class: "reasons" }, ...properties.reasons.map(reason))),
      element("section", {}, element("dl", {}, ...rows.flatMap(([name, value]) => [element("dt", {}, t(name)), element("dd", {}, String(value))]))),
    );
    this.parent.hidden = false;
    this.parent.focus({ preventScroll: true });
  }
}

/** Batteries and radios last: an operator asks for them last. */
const rank = (sensor) => (["battery", "signal"].includes(sensor.quantity) ? 1 : 0);
