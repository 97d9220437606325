// Files of what is on the screen: a table or a list for a spreadsheet, the map for other programs.

import { save } from "./api.js";
import { button, icon } from "./element.js";
import { t } from "./i18n.js";

/** A cell for a spreadsheet: quoted where it must be, and never a formula. @param {unknown} value */
export function cell(value) {
  const text = String(value ?? "");
  const safe = typeof value !== "number" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Rows as CSV that a spreadsheet reads as UTF-8. @param {unknown[][]} rows @param {string} name */
export function keepRows(rows, name) {
  save(new Blob(["\ufeff", rows.map((row) => row.map(cell).join(",")).join("\r\n")], { type: "text/csv" }), `${name}.csv`);
}

/** A collection as it is on the map. @param {any} collection @param {string} name */
export function keepMap(collection, name) {
  save(new Blob([JSON.stringify(collection)], { type: "application/geo+json" }), `${name}.geojson`);
}

/** The button that keeps a file. @param {string} kind CSV or GeoJSON @param {() => void} keep */
export const fileButton = (kind, keep) => button({ class: "plain button file", "data-file": kind, title: t("keep_as", { kind }), onclick: keep }, icon("download", 15), kind);

/** The tables below `parent` as they stand there, one under the other. @param {HTMLElement} parent @param {string} name */
export function keepTables(parent, name) {
  const rows = [...parent.querySelectorAll("table")].flatMap((table) => [...[...table.rows].map((row) => [...row.cells].map((each) => each.innerText.trim())), []]);
  keepRows(rows, name);
}
