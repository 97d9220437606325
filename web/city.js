// What every part of the page knows of the city: its words, its clock, and who looks.

import { named, t } from "./i18n.js";

export const city = {
  /** @type {any} networks, quantities, levels, title, timezone */
  catalogue: null,
  /** @type {any} the newest /risk/summary */
  summary: null,
  /** The server's clock less ours: ages must not depend on a wall display's clock. */
  skew: 0,
};

/** Take in how the city stands. @param {any} summary of /risk/summary */
export function stands(summary) {
  city.summary = summary;
  city.skew = new Date(summary.now) - Date.now();
}

/** Milliseconds since 1970 by the server's clock. */
export const now = () => Date.now() + city.skew;

/** Seconds since a moment, by the server's clock. */
export const since = (moment) => (now() - new Date(moment)) / 1000;

export const levelName = (level) => (level === "unknown" ? t("unknown") : named(city.catalogue.levels.find((each) => each.key === level)));

export const networkName = (key) => named(city.catalogue.networks.find((each) => each.key === key)) || key;

export const quantityName = (key) => named(city.catalogue.quantities.find((each) => each.key === key)) || key || "";
