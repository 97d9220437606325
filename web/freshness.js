// How fresh the page is: the light in the bar, and a banner where what it shows may be old.

import { city, since } from "./city.js";
import { byId, write } from "./element.js";
import { clock, span, t, zoneName } from "./i18n.js";

const STALE_DATA_S = 300;
const UNWATCHED_S = 60; // detection looks every few seconds, unless it is set to look less often
const TICKS = 3; // that may be missing
const LOST_S = 5;

export const freshness = {
  stream: "connecting",
  since: Date.now(),
  failure: "",
};

/** @param {string} state connecting, live or lost */
export function streamIs(state) {
  if (state !== freshness.stream) freshness.since = Date.now();
  freshness.stream = state;
  drawFreshness();
}

/** Seconds since the newest reading; null where none ever came. */
const ageOfData = () => (city.summary?.data_as_of ? since(city.summary.data_as_of) : null);

/** Whether detection does not run, by when it last looked and how often it does. @param {string | null | undefined} at @param {number | null | undefined} every_s */
export const overdue = (at, every_s) => !(at && since(at) < Math.max(UNWATCHED_S, TICKS * (every_s ?? 0)));

const unwatched = () => Boolean(city.summary) && overdue(city.summary.evaluated_at, city.summary.evaluated_every_s);

/** Why what the page shows cannot be relied on, in words; "" where it can. */
export function doubt() {
  const { stream, failure } = freshness;
  const lostFor = stream === "live" ? 0 : (Date.now() - freshness.since) / 1000;
  if (failure || !city.summary) return failure;
  if (lostFor > LOST_S) return t("stale_stream", { time: clock(city.summary.now) });
  if (unwatched()) return t("unwatched", { time: city.summary.evaluated_at ? clock(city.summary.evaluated_at) : "–" });
  const { data_as_of: newest } = city.summary;
  return ageOfData() > STALE_DATA_S ? t("stale_data", { time: clock(newest), age: span(since(newest)) }) : "";
}

/** The light, the time of the newest reading, and the banner: looked at each second, written where it changed. */
export function drawFreshness() {
  const { stream } = freshness;
  const asOf = city.summary?.data_as_of;
  const light = byId("freshness");
  write(light, "className", stream === "live" && !unwatched() && !(ageOfData() > STALE_DATA_S) ? "live" : stream === "lost" ? "lost" : "late");
  write(light.querySelector(".label"), "textContent", `${t(stream)} · ${t("data_as_of")}`);
  write(light.querySelector("time"), "textContent", asOf ? clock(asOf) : "–");
  write(light.querySelector("small"), "textContent", asOf ? zoneName(asOf) : "");
  const said = doubt();
  const banner = byId("banner");
  write(banner, "hidden", !said);
  write(banner, "textContent", said);
}
