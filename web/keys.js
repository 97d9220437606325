// In the administration: keys of programs.

import { get, post } from "./api.js";
import { since } from "./city.js";
import { fill, sure, tellOnce } from "./ask.js";
import { button, element } from "./element.js";
import { local, span, t } from "./i18n.js";
import { table } from "./table.js";
import { doing, labelled, part, rightFields, rights } from "./who.js";

/** The keys. @param {any} on @param {() => void} again */
export async function keysPage(on, again) {
  const { items } = await get("/keys");
  const stands = (each) => (each.revoked_at ? t("revoked") : each.valid ? t("valid") : t("expired"));
  const revoke = (each) => doing(on, async () => {
    if (!(await sure(t("revoke_ask", { name: each.name }), t("revoke")))) return;
    await post(`/keys/${encodeURIComponent(each.name)}`, undefined, "DELETE");
    again();
  });
  const columns = [
    [t("name"), (each) => each.name], [t("role"), (each) => t(`role_${each.role}`)], [t("sees"), part, "wide"],
    [t("stands"), (each) => element("span", { class: each.valid ? "" : "dim" }, stands(each))], [t("made"), (each) => local(each.created_at)],
    [t("expires"), (each) => (each.expires_at ? local(each.expires_at) : t("never_ends"))],
    [t("used_last"), (each) => (each.last_used_at ? t("ago", { age: span(since(each.last_used_at)) }) : t("never_used"))],
    ["", (each) => (each.valid ? button({ class: "act", "data-key": each.name, "data-act": "revoke", onclick: revoke(each) }, t("revoke")) : "")],
  ];
  return [element("p", {}, button({ class: "primary", "data-act": "add-key", onclick: doing(on, () => add(again)) }, t("add_key"))), table(columns, items)];
}

async function add(again) {
  const fields = [
    labelled("name", element("input", { name: "name", required: true, maxlength: "64", autocomplete: "off" }), t("key_name_hint")), ...(await rightFields(undefined, ["intake"])),
    labelled("days_valid", element("input", { name: "days", type: "number", min: "1", max: "3650", value: "365" }), t("days_hint")),
  ];
  fill(t("add_key"), fields, t("add_key"), async (form) => {
    const made = await post("/keys", { name: form.get("name"), ...rights(form), days: form.get("days") ? Number(form.get("days")) : null });
    again();
    tellOnce(t("key_of", { name: made.name }), made.key, t("key_once"));
  });
}
