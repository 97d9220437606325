// The form by which people come in: by name and password, at the city's own log-in service, or with a key; and the way out.

import { arrive, bySession, errand, forgetKey, get, logIn, logOut, useKey, useLink } from "./api.js";
import { byId } from "./element.js";
import { switchLanguage, t } from "./i18n.js";

const REFUSALS = ["stale", "denied", "unknown", "broken", "away"]; // what the server says of a log-in at the service that failed

/** Show the form, with what was wrong. The address stays: who has logged in is where he was. @param {string} [wrong] */
export function signIn(wrong = "") {
  forgetKey();
  byId("page").hidden = true;
  const form = /** @type {HTMLFormElement} */ (byId("signin"));
  form.hidden = false;
  for (const name of ["user", "password", "key"]) form.querySelector(`[for=${name}]`).textContent = t(name);
  form.querySelector("[type=submit]").textContent = t("sign_in");
  form.querySelector(".wrong").textContent = wrong;
  byId("signin-language").textContent = t("language");
  byId("signin-language").onclick = () => { switchLanguage(); signIn(); };
  form.onsubmit = (event) => {
    event.preventDefault();
    const [name, password, given] = ["user", "password", "key"].map((each) => /** @type {HTMLInputElement} */ (byId(each)).value);
    if (given) useKey(given);
    const done = given ? Promise.resolve() : logIn({ name, password });
    done.then(() => location.reload(), (error) => { form.querySelector(".wrong").textContent = error.status === 401 ? t("error_login") : error.message; });
  };
  byId("user").focus();
  offerService();
}

/** The way to the city's own log-in service, where there is one; it leads back to this very view. */
async function offerService() {
  const { service } = await get("/session/ways").catch(() => ({ service: null }));
  const way = /** @type {HTMLAnchorElement} */ (byId("signin-service"));
  way.hidden = !service;
  way.textContent = service ? t("sign_in_at", { service }) : "";
  way.href = `/api/v1/session/oidc?next=${encodeURIComponent(location.pathname + location.search)}`;
}

/** By what one came in counts no more: say so once, whatever is refused after the first, and let one come in again. */
export function ended() {
  if (!byId("signin").hidden) return;
  signIn(t(bySession() ? "session_ended" : "error_refused"));
}

/** Do what the address asks for before anything else: use a one-time link, take a new session. False where nobody came in. */
export async function arrived() {
  const { link, refused } = errand();
  if (refused !== null) {
    signIn(t(`refused_${REFUSALS.includes(refused) ? refused : "broken"}`));
    return false;
  }
  try {
    await (link === null ? arrive() : useLink(link));
    return true;
  } catch (error) {
    signIn(error.status === 401 ? t(link === null ? "refused_stale" : "error_link") : error.message);
    return false;
  }
}

/** End the session; who came from the city's log-in service leaves it there too: the next one at this desk is another. */
export async function signOut() {
  const away = await logOut().catch(() => "");
  if (away) location.assign(away);
  else location.reload();
}
