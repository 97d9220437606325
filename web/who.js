// What users and keys have in common: a name, a role, a part of the city, and how that is asked for and told.

import { all } from "./api.js";
import { city, networkName } from "./city.js";
import { element } from "./element.js";
import { place, t } from "./i18n.js";

const FEW = 8; // zones that are seen at once
const ROLES = ["viewer", "field", "operator", "engineer", "admin"];

/** A field under its name. @param {string} word @param {HTMLElement} input @param {string} [hint] */
export const labelled = (word, input, hint = "") => element("label", { class: "field-of" }, element("span", {}, t(word)), input, hint ? element("small", {}, hint) : "");

/**
 * The fields of role and scope, as they are for `one`.
 * @param {{role: string, networks: string[] | null, zones: string[] | null}} one @param {string[]} more roles that only programs have
 */
export async function rightFields(one = { role: "viewer", networks: null, zones: null }, more = []) {
  const roles = element("select", { name: "role" }, ...[...ROLES, ...more].map((role) => element("option", { value: role, selected: role === one.role }, t(`role_${role}`))));
  const networks = city.catalogue.networks.map(({ key }) => element("label", { class: "tick" }, element("input", { type: "checkbox", name: "networks", value: key, checked: Boolean(one.networks?.includes(key)) }), networkName(key)));
  return [
    labelled("role", roles, t("role_hint")),
    element("fieldset", {}, element("legend", {}, t("only_networks")), ...networks, element("small", {}, t("none_is_all"))),
    zoneField(one.zones ?? [], await all("/zones", { status: "active", limit: 1000 })),
  ];
}

/** The zones to tick, those first that somebody has. One that is gone stays: without it his part would grow by itself. */
function zoneField(held, zones) {
  const gone = held.filter((id) => !zones.some((each) => each.id === id)).map((id) => ({ id, name: "" }));
  const rows = [...gone, ...zones].sort((one, other) => held.includes(other.id) - held.includes(one.id) || place(one.name).localeCompare(place(other.name)));
  const ticks = rows.map(({ id, name }) => element("label", { class: "tick" }, element("input", { type: "checkbox", name: "zones", value: id, checked: held.includes(id) }), element("span", {}, place(name), element("small", {}, ` ${id}`))));
  const find = /** @type {HTMLInputElement} */ (element("input", { type: "search", "aria-label": t("find_zone"), placeholder: t("find_zone"), autocomplete: "off" }));
  find.addEventListener("input", () => ticks.forEach((each) => { each.hidden = !each.textContent.toLowerCase().includes(find.value.trim().toLowerCase()); }));
  find.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault()); // it looks for a zone, and sends nothing
  return element("fieldset", {}, element("legend", {}, t("only_zones")), rows.length > FEW ? find : "", element("div", { class: "choices" }, ...ticks), element("small", {}, t(rows.length ? "no_zone_is_all" : "no_zones_yet")));
}

/** Role and scope as a form says them. @param {FormData} form */
export function rights(form) {
  const networks = form.getAll("networks");
  const zones = form.getAll("zones");
  return { role: form.get("role"), networks: networks.length ? networks : null, zones: zones.length ? zones : null };
}

/** Which part of the city somebody has. @param {{networks: string[] | null, zones: string[] | null}} one */
export const part = (one) => [one.networks?.map(networkName).join(", "), one.zones?.join(", ")].filter(Boolean).join(" · ") || t("whole_city");

/** What to say of an error in the administration: most often that one may not. @param {any} on @param {() => Promise<unknown>} act */
export const doing = (on, act) => async () => {
  try {
    await act();
  } catch (error) {
    on.failed(error);
  }
};
