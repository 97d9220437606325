// A bar of half hours: when a sensor spoke, when it fell silent.

import { element } from "./element.js";
import { local, t } from "./i18n.js";

const BEATS = 48;
const BEAT_MS = 1_800_000;

/**
 * The last 24 hours of a sensor as 48 beats: full, thin (under half of what is usual) or none.
 * @param {any} series 15-minute roll-ups of the span @param {number} end milliseconds
 */
export function heartbeat(series, end) {
  const counts = new Array(BEATS).fill(0);
  const start = end - BEATS * BEAT_MS;
  series.ts.forEach((moment, place) => {
    const at = Math.floor((Date.parse(moment) - start) / BEAT_MS);
    if (at >= 0 && at < BEATS) counts[at] += series.n[place];
  });
  const spoken = counts.filter(Boolean).sort((a, b) => a - b);
  const usual = spoken[Math.floor(spoken.length / 2)] ?? 0;
  const kind = (count) => (!count ? "none" : count < usual / 2 ? "thin" : "full");
  const beats = counts.map((count, place) => {
    const from = local(start + place * BEAT_MS, "minute");
    return element("i", { class: kind(count), title: `${from} · ${t("readings_n", { n: count })}` });
  });
  const heard = counts.filter(Boolean).length;
  return element("div", { class: "heartbeat", role: "img", "aria-label": t("heartbeat_said", { share: Math.round((heard / BEATS) * 100) }) }, ...beats);
}
