// Several of the list at once: which are chosen, and what is done with all of them.

import { post } from "./api.js";
import { now } from "./city.js";
import { button, byId, element } from "./element.js";
import { t } from "./i18n.js";
import { act } from "./response.js";

const SHELF_MS = 2 * 3_600_000;
/** What `/alerts/bulk` does to many in one request; the rest goes one by one. */
const TOGETHER = ["acknowledge", "shelve", "note"];

/** @type {Map<string, {kind: string, id: number}>} */
const chosen = new Map();
/** What became of the last act: it stays while the list is drawn anew, until something is chosen or some seconds are over. */
let said = "";
const SAID_MS = 10_000;
let on = { changed: () => {}, failed: (_error) => {} };

/** Who is told afterwards. @param {{changed: () => void, failed: (error: any) => void}} told */
export function listenToBulk(told) {
  on = told;
}

/** The box that chooses a thing of the list. @param {"incident" | "alert"} kind @param {any} thing @param {string} label */
export function chosenBox(kind, thing, label) {
  const name = `${kind}:${thing.id}`;
  const box = /** @type {HTMLInputElement} */ (element("input", { type: "checkbox", class: "choose", "aria-label": label, "data-name": name }));
  box.checked = chosen.has(name);
  box.addEventListener("change", () => {
    if (box.checked) chosen.set(name, { kind, id: thing.id });
    else chosen.delete(name);
    tell("");
  });
  return box;
}

/** What is gone from the list is chosen no more. Else the bar stays: somebody may be about to press it. @param {{kind: string, id: number}[]} things all that are open */
export function forgetGone(things) {
  const names = new Set(things.map(({ kind, id }) => `${kind}:${id}`));
  const gone = [...chosen.keys()].filter((name) => !names.has(name));
  for (const name of gone) chosen.delete(name);
  if (gone.length) drawBulk();
}

/** @param {string} words */
function tell(words) {
  said = words;
  if (words) setTimeout(() => said === words && tell(""), SAID_MS);
  drawBulk();
}

/** The bar above the list, once something is chosen, or what became of the last act. */
export function drawBulk() {
  const bar = byId("bulk");
  if (bar.contains(document.activeElement) && document.activeElement.matches("input")) return;
  bar.hidden = !chosen.size && !said;
  document.body.classList.toggle("choosing", chosen.size > 0);
  if (bar.hidden) return bar.replaceChildren();
  const word = element("input", { name: "word", maxlength: "80", placeholder: t("note_or_who"), "aria-label": t("note_or_who"), autocomplete: "off" });
  const does = (action, values) => button({ class: "pill", "data-bulk": action, onclick: () => all(action, values(/** @type {HTMLInputElement} */ (word).value.trim())) }, t(`do_${action}`));
  bar.setAttribute("aria-label", t("chosen"));
  bar.replaceChildren(
    element("strong", { role: "status" }, said || t("chosen_n", { n: chosen.size })),
    ...(chosen.size ? [word, does("acknowledge", (note) => ({ note })), does("shelve", (note) => ({ note, until: new Date(now() + SHELF_MS).toISOString() })),
      does("assign", (who) => ({ assignee: who })), does("note", (note) => ({ note })), button({ class: "pill", onclick: clear }, t("choose_none"))] : []));
}

function clear() {
  chosen.clear();
  document.querySelectorAll("#entries .choose").forEach((each) => (/** @type {HTMLInputElement} */ (each).checked = false));
  tell("");
}

/** Do it to all that are chosen, and say of how many it was possible. */
async function all(action, values) {
  if (["assign", "note"].includes(action) && !(values.note || values.assignee)) return byId("bulk").querySelector("input").focus();
  const things = [...chosen.values()];
  const together = TOGETHER.includes(action) ? things.filter(({ kind }) => kind === "alert") : [];
  const alone = things.filter((each) => !together.includes(each));
  const asked = alone.map((each) => act(`${each.kind}s`, each, action, values).then(() => 1));
  if (together.length) asked.push(post("/alerts/bulk", { action, ids: together.map(({ id }) => id), ...values }).then(({ done }) => done.length));
  const found = await Promise.allSettled(asked);
  const refused = found.find((each) => each.status === "rejected")?.reason;
  if (refused?.status === 401) return on.failed(refused);
  const done = found.reduce((sum, each) => sum + (each.value ?? 0), 0);
  const why = refused ? ` · ${!refused.status ? t("not_done") : refused.status === 403 ? t("need_role") : refused.message}` : "";
  clear();
  tell(t("done_of", { done, of: things.length }) + why);
  return on.changed();
}
