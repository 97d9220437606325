// How fresh the page is: the light in the bar, and a banner where what it shows may be old.

import { city, now } from "./city.js";
import { byId } from "./element.js";
import { clock, span, t } from "./i18n.js";

const STALE_DATA_S = 300;
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

/** The light, the time of the newest reading, and the banner. */
export function drawFreshness() {
  const { stream, failure } = freshness;
  const asOf = city.summary?.data_as_of ? new Date(city.summary.data_as_of) : null;
  const age = asOf ? (now() - asOf) / 1000 : 0;
  const lostFor = stream === "live" ? 0 : (Date.now() - freshness.since) / 1000;
  const light = byId("freshness");
  light.className = stream === "live" && age < STALE_DATA_S ? "live" : stream === "lost" ? "lost" : "late";
  light.querySelector(".label").textContent = `${t(stream)} · ${t("data_as_of")}`;
  light.querySelector("time").textContent = asOf ? clock(asOf) : "–";
  const said = failure
    || (lostFor > LOST_S && city.summary ? t("stale_stream", { time: clock(city.summary.now) }) : "")
    || (asOf && age > STALE_DATA_S ? t("stale_data", { time: clock(asOf), age: span(age) }) : "");
  const banner = byId("banner");
  banner.hidden = !said;
  if (banner.textContent !== said) banner.textContent = said;
}
