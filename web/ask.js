// Small dialogs: is somebody sure, something that is told once, and a form.

import { button, element } from "./element.js";
import { t } from "./i18n.js";

/** A dialog that goes away when it is closed; Esc and a press beside it close it. */
function dialog(title, ...children) {
  const made = /** @type {HTMLDialogElement} */ (element("dialog", { class: "asking", "aria-label": title }, element("h2", {}, title), ...children));
  made.addEventListener("close", () => made.remove());
  made.addEventListener("click", (event) => event.target === made && made.close());
  document.body.append(made);
  made.showModal();
  return made;
}

/** Whether somebody is sure of what cannot be undone: the focus is on no. @param {string} question @param {string} yes what is done */
export function sure(question, yes) {
  return new Promise((resolve) => {
    const answer = (said) => () => { resolve(said); made.close(); };
    const no = button({ class: "plain", onclick: answer(false), autofocus: true }, t("cancel"));
    const made = dialog(question, element("p", { class: "acts" }, no, button({ class: "primary danger", onclick: answer(true) }, yes)));
    made.addEventListener("close", () => resolve(false));
  });
}

/** Tell something once, to be copied. @param {string} title @param {string} text @param {string} hint */
export function tellOnce(title, text, hint) {
  const field = /** @type {HTMLInputElement} */ (element("input", { class: "once", readonly: true, value: text, "aria-label": title }));
  const said = element("span", { role: "status" });
  const copy = async () => {
    field.select();
    await navigator.clipboard?.writeText(text).catch(() => {}); // without TLS there is none: it is selected
    said.textContent = t(navigator.clipboard ? "copied" : "selected");
  };
  const made = dialog(title, element("p", {}, hint), field, element("p", { class: "acts" }, said, button({ class: "plain", "data-act": "copy", onclick: copy }, t("copy")), button({ class: "primary", onclick: () => made.close() }, t("close"))));
  field.select();
}

/**
 * A form; what is wrong is told in it, and it stays open. @param {string} title @param {Node[]} fields
 * @param {string} yes what the button does @param {(form: FormData) => Promise<unknown>} send
 */
export function fill(title, fields, yes, send) {
  const wrong = element("p", { class: "wrong", role: "alert" });
  const form = /** @type {HTMLFormElement} */ (element("form", { class: "fields-of" }, ...fields, wrong,
    element("p", { class: "acts" }, button({ class: "plain", onclick: () => made.close() }, t("cancel")), element("button", { class: "primary" }, yes))));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    wrong.textContent = "";
    try {
      await send(new FormData(form));
      made.close();
    } catch (error) {
      wrong.textContent = error.message;
    }
  });
  const made = dialog(title, form);
}
