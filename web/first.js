// What the first screen needs, asked for at once: while these answers come, the browser reads the map's library.

import { askAhead, findKey, hasErrand } from "./api.js";

/** What is open, worst first. */
export const OPEN = { state: "open", order: "worst", limit: 500 };
/** Of a large city the worst pipes; all come as one looks closer. */
export const PIPES = { limit: 3000, parts: false };

if (!hasErrand() && findKey()) {
  askAhead("/catalogue");
  askAhead("/risk/summary");
  askAhead("/risk/segments", PIPES);
  askAhead("/incidents", OPEN);
  askAhead("/alerts", OPEN);
  askAhead("/caseload");
}
