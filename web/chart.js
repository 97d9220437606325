// One sensor over a span of time: what was measured, what is usual at that hour, the limit, and the marks of quality.

import UPlot from "/vendor/uplot/uPlot.esm.js";
import { local, number, t } from "./i18n.js";

const themed = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const DAY_S = 86_400;
const HEIGHT = 200;

/** The usual of an hour at each moment, between the hours by straight lines; null where nothing is known. */
function usualAt(usual, x) {
  const by = new Map(usual.map((each) => [each.hour, each]));
  const hour = (at) => Number(local(at * 1000, "minute").slice(0, 2)) + ((at / 60) % 60) / 60;
  const between = (at, key) => {
    const place = hour(at) - 0.5;
    const first = by.get((Math.floor(place) + 24) % 24);
    const next = by.get((Math.floor(place) + 25) % 24);
    if (!first || !next) return first?.[key] ?? next?.[key] ?? null;
    const share = place - Math.floor(place);
    return first[key] * (1 - share) + next[key] * share;
  };
  return ["high", "low"].map((key) => x.map((at) => between(at, key)));
}

export class Chart {
  /** @param {HTMLElement} parent */
  constructor(parent) {
    this.parent = parent;
    this.observer = new ResizeObserver(() => this.plot?.setSize({ width: parent.clientWidth, height: HEIGHT }));
    this.observer.observe(parent);
  }

  /**
   * @param {any} series as the API gives it
   * @param {{limit?: {value: number, colour: string}, usual?: any[], from?: number, to?: number}} more
   *   `limit` is drawn as a line where it is in reach; `usual` by hour of the day as a band; the span in seconds
   */
  draw(series, { limit, usual = [], from, to } = {}) {
    this.plot?.destroy();
    this.plot = null;
    this.parent.classList.toggle("empty", !series.ts.length);
    if (!series.ts.length) {
      this.parent.textContent = t("no_readings");
      return;
    }
    this.parent.textContent = "";
    const { x, columns, marks } = gaps(series);
    const rolled = series.resolution !== "raw";
    const daily = series.resolution === "1d";
    const band = usual.length && !daily ? usualAt(usual, x) : null;
    const data = [x, ...(rolled ? [columns.mean, columns.maximum, columns.minimum] : [columns.last]), ...(band ?? [])];
    this.plot = new UPlot(this.options(series, { rolled, band: Boolean(band), limit, marks, from, to }), data, this.parent);
  }

  options(series, { rolled, band, limit, marks, from, to }) {
    const grid = { stroke: themed("--line"), width: 1 };
    const axis = { stroke: themed("--dim"), grid, ticks: grid, font: "11px system-ui, sans-serif" };
    const value = (_, found) => number(found, series.unit);
    const line = { label: rolled ? "⌀" : t("newest"), stroke: themed("--accent"), width: 1.7, value, points: { show: false }, spanGaps: false };
    const edge = (label) => ({ label, stroke: themed("--accent-dim"), width: 1, value, points: { show: false } });
    const usual = (label) => ({ label, stroke: "transparent", width: 0, value, points: { show: false } });
    const first = rolled ? 4 : 2;
    const long = (to ?? 0) - (from ?? 0) > 2 * DAY_S;
    return {
      width: this.parent.clientWidth,
      height: HEIGHT,
      padding: [10, 8, 0, 0],
      cursor: { y: false },
      legend: { live: true },
      scales: { x: from && to ? { range: [from, to] } : {}, y: { range: (_, low, high) => this.reach(low, high, limit?.value) } },
      axes: [
        { ...axis, space: long ? 54 : 60, size: 28, values: (_, ticks) => ticks.map((tick) => local(tick * 1000, long ? "day" : "minute")) },
        { ...axis, size: 52, values: (_, ticks) => ticks.map((tick) => number(tick)) },
      ],
      series: [
        { label: t("time"), value: (_, at) => (at === null ? "–" : long ? local(at * 1000) : local(at * 1000, "second")) },
        line, ...(rolled ? [edge("↑"), edge("↓")] : []), ...(band ? [usual(t("usual_high")), usual(t("usual_low"))] : []),
      ],
      bands: [
        ...(band ? [{ series: [first, first + 1], fill: themed("--usual") }] : []),
        ...(rolled ? [{ series: [2, 3], fill: themed("--accent-faint") }] : []),
      ],
      hooks: { draw: [(plot) => { if (limit) this.limit(plot, limit); this.marks(plot, marks); }] },
    };
  }

  reach(low, high, limit) {
    if (low === null || low === undefined) return [0, 1];
    const near = limit !== undefined && Math.abs(limit - (high + low) / 2) < 4 * Math.max(high - low, Math.abs(high) * 0.2);
    const from = near ? Math.min(low, limit) : low;
    const to = near ? Math.max(high, limit) : high;
    const room = (to - from || Math.abs(to) || 1) * 0.08;
    return [from - room, to + room];
  }

  limit(plot, { value, colour }) {
    const y = Math.round(plot.valToPos(value, "y", true));
    const { left, top, width, height } = plot.bbox;
    if (y < top || y > top + height) return;
    const { ctx } = plot;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour;
    ctx.setLineDash([6, 4]);
    ctx.lineWidth = 1.5;
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + width, y);
    ctx.stroke();
    ctx.textAlign = "left";
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.fillText(`${t("limit")} ${number(value)}`, left + 6, y - 5 * devicePixelRatio);
    ctx.restore();
  }

  /** Readings that are implausible, a cross each; those that came late, a tick on the floor: they are nothing bad. */
  marks(plot, marks) {
    const { ctx } = plot;
    const size = 3.5 * devicePixelRatio;
    const floor = plot.bbox.top + plot.bbox.height;
    ctx.save();
    ctx.lineWidth = 1.4 * devicePixelRatio;
    for (const { x, y, implausible } of marks) {
      const left = plot.valToPos(x, "x", true);
      ctx.strokeStyle = themed(implausible ? "--red" : "--accent-dim");
      ctx.beginPath();
      if (implausible) {
        const top = plot.valToPos(y, "y", true);
        ctx.moveTo(left - size, top - size);
        ctx.lineTo(left + size, top + size);
        ctx.moveTo(left - size, top + size);
        ctx.lineTo(left + size, top - size);
      } else {
        ctx.moveTo(left, floor);
        ctx.lineTo(left, floor - size);
      }
      ctx.stroke();
    }
    ctx.restore();
  }

  close() {
    this.observer.disconnect();
    this.plot?.destroy();
  }
}

const STEP_S = { "15m": 900, "1h": 3600, "1d": DAY_S };
const MOST_MARKS = 300;

/** Columns with a hole wherever readings stayed away, so that no line is drawn over a silence; and the marked ones. */
function gaps(series) {
  const times = series.ts.map((moment) => Date.parse(moment) / 1000);
  const steps = times.slice(1).map((at, place) => at - times[place]).sort((a, b) => a - b);
  const usual = STEP_S[series.resolution] ?? steps[Math.floor(steps.length / 2)] ?? 60;
  const x = [];
  const names = ["mean", "maximum", "minimum", "last"];
  const columns = Object.fromEntries(names.map((name) => [name, []]));
  times.forEach((at, place) => {
    if (place && at - times[place - 1] > Math.max(usual * 4, 120)) {
      x.push(times[place - 1] + usual);
      for (const name of names) columns[name].push(null);
    }
    x.push(at);
    for (const name of names) columns[name].push(series[name][place]);
  });
  const marked = series.quality.flatMap((marks, place) => (marks.length ? [{ x: times[place], y: series.last[place], implausible: marks.includes("implausible") }] : []));
  return { x, columns, marks: marked.slice(-MOST_MARKS) };
}
