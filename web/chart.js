// The last 24 hours of a sensor, with its limit and what was out of the ordinary.

import UPlot from "/vendor/uplot/uPlot.esm.js";
import { number, t } from "./i18n.js";

const themed = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class Chart {
  constructor(parent) {
    this.parent = parent;
    this.observer = new ResizeObserver(() => this.plot?.setSize({ width: parent.clientWidth, height: 190 }));
    this.observer.observe(parent);
  }

  /** `series` as the API gives it; `limit` (with its level's colour) is drawn as a line where it is in reach. */
  draw(series, limit) {
    this.plot?.destroy();
    this.plot = null;
    this.parent.classList.toggle("empty", !series.ts.length);
    if (!series.ts.length) {
      this.parent.textContent = t("no_readings");
      return;
    }
    this.parent.textContent = "";
    const x = series.ts.map((moment) => Date.parse(moment) / 1000);
    const banded = series.resolution !== "raw";
    const data = banded ? [x, series.mean, series.maximum, series.minimum] : [x, series.last];
    this.plot = new UPlot(this.options(series, banded, limit), data, this.parent);
  }

  options(series, banded, limit) {
    const grid = { stroke: themed("--line"), width: 1 };
    const axis = { stroke: themed("--dim"), grid, ticks: grid, font: "11px system-ui, sans-serif" };
    const value = (_, found) => number(found, series.unit);
    const line = { label: banded ? "⌀" : t("newest"), stroke: themed("--accent"), width: 1.6, value, points: { show: false }, spanGaps: false };
    const edge = (label) => ({ label, stroke: themed("--accent-dim"), width: 1, value, points: { show: false } });
    const time = (form) => (_, ticks) => ticks.map((tick) => new Date(tick * 1000).toLocaleTimeString([], form));
    return {
      width: this.parent.clientWidth,
      height: 190,
      padding: [10, 8, 0, 0],
      cursor: { y: false },
      legend: { live: true },
      scales: { y: { range: (_, low, high) => this.reach(low, high, limit?.value) } },
      axes: [
        { ...axis, space: 60, size: 28, values: time({ hour: "2-digit", minute: "2-digit", hour12: false }) },
        { ...axis, size: 52, values: (_, ticks) => ticks.map((tick) => number(tick)) },
      ],
      series: [
        { label: t("time"), value: (_, at) => (at === null ? "–" : new Date(at * 1000).toLocaleTimeString([], { hour12: false })) },
        line, ...(banded ? [edge("↑"), edge("↓")] : []),
      ],
      bands: banded ? [{ series: [2, 3], fill: themed("--accent-faint") }] : [],
      hooks: { draw: [(plot) => limit && this.limit(plot, limit)] },
    };
  }

  reach(low, high, limit) {
    if (low === null) return [0, 1];
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

  close() {
    this.observer.disconnect();
    this.plot?.destroy();
  }
}
