// A field for a moment, written as the rest of the page writes one: a browser's own field follows the machine's language.

import { element } from "./element.js";
import { moment, t, wall } from "./i18n.js";

const WRITTEN = /^(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:[\sT]+(\d{1,2})[:：](\d{2}))?$/;

/** The moment at which the city's clock shows what a person wrote, a day alone is its beginning; null where it is none. @param {string} text */
export function momentOf(text) {
  const [found, year, ...rest] = text.trim().match(WRITTEN) ?? [];
  if (!found) return null;
  const [month, day, hour, minute] = rest.map((each) => (each ?? "0").padStart(2, "0"));
  const written = `${year}-${month}-${day}T${hour}:${minute}`;
  const at = moment(written);
  return Number.isNaN(at.getTime()) || wall(at) !== written ? null : at; // a 31 February is refused
}

/** As a person writes it: `2026-11-22 03:10`. @param {number | Date} at */
export const written = (at) => wall(at).replace("T", " ");

/** The field; it says itself how it is to be written. @param {string} name @param {string} value @param {Record<string, unknown>} [more] attributes */
export function momentField(name, value, more = {}) {
  const field = /** @type {HTMLInputElement} */ (element("input", { name, value, class: "moment", size: 16, maxlength: 20, autocomplete: "off", spellcheck: "false", placeholder: t("moment_hint"), oninput: () => check(field), ...more }));
  return field;
}

/** Whether what stands there is a moment or nothing; the field tells what is wrong. @param {HTMLInputElement} field */
function check(field) {
  field.setCustomValidity(field.value.trim() && !momentOf(field.value) ? t("moment_wrong", { example: written(Date.now()) }) : "");
}
