// The page by keys. A letter is pressed alone and never while somebody writes; ? lists them all.

import { byId, element } from "./element.js";
import { t } from "./i18n.js";
import { KEYS } from "./response.js";

const WALK = [["j", "↓"], ["k", "↑"]];

/** @type {[string, string][]} key and what it does, for the help */
const LIST = [
  ["j k", "key_walk"], ["Enter", "key_open"], ["Esc", "key_close"], ["x", "key_choose"], ["m", "show_on_map"], ["/", "key_find"], ["1 2 3 4 5", "key_views"], ["t", "key_time"], ["+ −", "key_zoom"], ["?", "key_help"],
  ...Object.entries(KEYS).map(([action, key]) => [key, `do_${action}`]),
];

/** Show or hide the list of keys. */
export function help() {
  const dialog = /** @type {HTMLDialogElement} */ (byId("help"));
  if (dialog.open) return dialog.close();
  const rows = LIST.flatMap(([keys, what]) => [element("dt", {}, ...keys.split(" ").map((key) => element("kbd", {}, key))), element("dd", {}, t(what))]);
  dialog.setAttribute("aria-label", t("keys"));
  dialog.replaceChildren(element("h2", {}, t("keys")), element("dl", {}, ...rows), element("form", { method: "dialog" }, element("button", { class: "primary" }, t("close"))));
  dialog.showModal();
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close(), { once: true });
}

/** The control of the panel for a key: pressed for acknowledge, which asks nothing more; others get the focus, then Enter. */
function act(key) {
  const action = Object.keys(KEYS).find((each) => KEYS[each] === key);
  const control = action && document.querySelector(`#panel [data-act="${action}"]`);
  if (!control || control.disabled) return false;
  if (action === "acknowledge" || action === "note") control.click();
  else if (control.matches("summary")) {
    control.parentElement.open = true;
    control.parentElement.querySelector("button, input")?.focus();
  } else control.focus();
  control.scrollIntoView({ block: "nearest" });
  return true;
}

/** Choose the row that has the focus for an act on several, or take it away again. */
function choose() {
  document.activeElement?.closest("#entries li")?.querySelector(".choose")?.click();
}

/**
 * @param {{walk: (step: number) => void, close: () => void, find: () => void, view: (at: number) => void, map: () => void, time: () => void}} on
 */
export function listenToKeys(on) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("page").hidden || byId("help").open) return;
    const target = /** @type {HTMLElement} */ (event.target);
    const writing = target.closest("input:not([type=checkbox]), textarea, select"); // a box that is ticked is no place to write
    if (event.key === "Escape") return writing ? target.blur() : on.close();
    if (writing) return;
    const arrows = !target.closest(".maplibregl-canvas, [role=slider]");
    const step = WALK[0].includes(event.key) || (arrows && event.key === "ArrowDown") ? 1 : WALK[1].includes(event.key) || (arrows && event.key === "ArrowUp") ? -1 : 0;
    const does = { "/": on.find, "?": help, m: on.map, t: on.time, x: choose };
    if (step && (arrows || "jk".includes(event.key))) on.walk(step);
    else if (does[event.key]) does[event.key]();
    else if (/^[1-5]$/.test(event.key)) on.view(Number(event.key) - 1);
    else if (!act(event.key)) return;
    event.preventDefault();
  });
}
