// In the administration: people who may come in, and who is in now.

import { get, post } from "./api.js";
import { since } from "./city.js";
import { fill, sure, tellOnce } from "./ask.js";
import { button, element } from "./element.js";
import { local, span, t } from "./i18n.js";
import { table } from "./table.js";
import { doing, labelled, part, rightFields, rights } from "./who.js";

const path = (user, rest = "") => `/users/${encodeURIComponent(user.name)}${rest}`;

/** The users, and every open session. @param {any} on @param {() => void} again */
export async function usersPage(on, again) {
  const [users, open] = await Promise.all([get("/users"), get("/users/sessions", { limit: 1000 })]);
  const then = (act) => doing(on, async () => { await act(); again(); });
  const stands = (each) => (each.disabled_at ? t("disabled_since", { when: local(each.disabled_at) }) : each.has_password ? t("with_password") : t("by_link_alone"));
  const acts = (each) => element("span", { class: "acts" },
    button({ class: "act", "data-user": each.name, "data-act": "change", onclick: doing(on, () => change(each, again)) }, t("change")),
    each.disabled_at ? "" : button({ class: "act", "data-act": "link", onclick: doing(on, () => link(each)) }, t("make_link")),
    each.disabled_at ? button({ class: "act", onclick: then(() => post(path(each), { disabled: false }, "PATCH")) }, t("enable")) : button({ class: "act", "data-act": "disable", onclick: then(() => disable(each)) }, t("disable")));
  const columns = [
    [t("name"), (each) => element("span", { class: each.disabled_at ? "dim" : "" }, each.name)], [t("role"), (each) => t(`role_${each.role}`)], [t("sees"), part, "wide"],
    [t("came_last"), (each) => (each.last_login_at ? t("ago", { age: span(since(each.last_login_at)) }) : t("never_came"))], [t("stands"), stands], ["", acts],
  ];
  return [
    element("p", {}, button({ class: "primary", "data-act": "add-user", onclick: doing(on, () => add(again)) }, t("add_user"))), table(columns, users.items),
    element("h3", {}, t("open_sessions")), sessionTable(open.items, "/users/sessions", on, again, true),
  ];
}

/**
 * Sessions that are open. @param {any[]} items @param {string} at the path of one, without its number @param {any} on
 * @param {() => void} again @param {boolean} named whose each is
 */
export function sessionTable(items, at, on, again, named) {
  const end = (each) => doing(on, async () => { await post(`${at}/${each.id}`, undefined, "DELETE"); again(); });
  const columns = [
    named && [t("name"), (each) => element("span", {}, each.name, each.kind === "sso" ? element("small", { class: "dim" }, ` ${t("by_service")}`) : "")], named && [t("role"), (each) => t(`role_${each.role}`)],
    [t("since"), (each) => local(each.created_at)], [t("used_last"), (each) => t("ago", { age: span(since(each.last_seen_at)) })], [t("address"), (each) => each.address || "–"],
    [t("ends"), (each) => local(each.expires_at)], ["", (each) => (each.this ? element("b", {}, t("this_one")) : button({ class: "act", "data-act": "end-session", onclick: end(each) }, t("end_session")))],
  ];
  return table(columns.filter(Boolean), items, t("no_sessions"));
}

async function add(again) {
  const fields = [
    labelled("user", element("input", { name: "name", required: true, maxlength: "64", autocomplete: "off", autocapitalize: "none", spellcheck: "false" }), t("user_hint")),
    ...(await rightFields()), labelled("password", element("input", { name: "password", type: "password", autocomplete: "new-password" }), t("no_password_hint")),
  ];
  fill(t("add_user"), fields, t("add_user"), async (form) => {
    const { networks, zones, role } = rights(form);
    const made = await post("/users", { name: form.get("name"), role, networks, zones, password: form.get("password") || null });
    again();
    if (!made.has_password) await link(made);
  });
}

async function change(user, again) {
  fill(t("change_user", { name: user.name }), await rightFields(user), t("change"), async (form) => {
    await post(path(user), rights(form), "PATCH");
    again();
  });
}

async function link(user) {
  const { link: token, expires_at } = await post(path(user, "/link"));
  tellOnce(t("link_of", { name: user.name }), `${location.origin}/#link=${token}`, t("link_hint", { time: local(expires_at, "minute") }));
}

async function disable(user) {
  if (await sure(t("disable_ask", { name: user.name }), t("disable"))) await post(path(user), undefined, "DELETE");
}
