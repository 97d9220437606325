// Your account: who you are here, your password, and where you are logged in.

import { get, keepProof, post } from "./api.js";
import { sure } from "./ask.js";
import { button, element } from "./element.js";
import { t } from "./i18n.js";
import { sessionTable } from "./users.js";
import { doing, labelled, part } from "./who.js";

/** One's own account. @param {any} on @param {() => void} again */
export async function accountPage(on, again) {
  const [me, mine] = await Promise.all([get("/me"), get("/sessions")]);
  const who = element("p", { class: "said" }, t(`you_are_${me.kind}`, { name: me.name, role: t(`role_${me.role}`), part: part(me) }));
  if (me.kind !== "user" && me.kind !== "sso") return [who];
  const everywhere = doing(on, async () => {
    if (!(await sure(t("out_everywhere_ask"), t("out_everywhere")))) return;
    await post("/session?everywhere=true", undefined, "DELETE");
    location.reload();
  });
  return [
    who, me.kind === "user" ? element("h3", {}, t("new_password")) : "", me.kind === "user" ? passwordForm(me, again) : "",
    element("h3", {}, t("your_sessions")), sessionTable(mine.items, "/sessions", on, again, false),
    element("p", {}, button({ class: "act", "data-act": "everywhere", onclick: everywhere }, t("out_everywhere"))),
  ];
}

function passwordForm(me, again) {
  const field = (name, autocomplete, required) => element("input", { name, type: "password", autocomplete, required, maxlength: "256" });
  const told = element("p", { role: "status" });
  const form = /** @type {HTMLFormElement} */ (element("form", { class: "fields-of narrow" },
    element("input", { type: "text", name: "username", value: me.name, autocomplete: "username", hidden: true, readonly: true }), // for password managers
    labelled("current_password", field("current", "current-password", false), t("current_hint")), labelled("new_password", field("password", "new-password", true), t("password_hint")),
    labelled("once_more", field("again", "new-password", true)), told, element("p", { class: "acts" }, element("button", { class: "primary" }, t("change_password")))));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const said = new FormData(form);
    const tell = (text, wrong) => { told.textContent = text; told.className = wrong ? "wrong" : "said"; };
    if (said.get("password") !== said.get("again")) return tell(t("not_the_same"), true);
    try {
      keepProof(await post("/session/password", { current: said.get("current"), password: said.get("password") }));
      form.reset();
      tell(t("password_changed"), false);
      setTimeout(again, 2500);
    } catch (error) {
      tell(error.status === 403 ? t("current_wrong") : error.message, true);
    }
    return null;
  });
  return form;
}
