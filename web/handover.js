// The hand-over: what a shift tells the next one, in the report and, until it is read, above the list.

import { get, post } from "./api.js";
import { levelName, now } from "./city.js";
import { button, byId, element, icon } from "./element.js";
import { local, named, place, t } from "./i18n.js";
import { badge } from "./levels.js";
import { remember, remembered } from "./state.js";

const SHIFT_MS = 8 * 3_600_000;
const MOST_OPEN = 12;
const MOST_NOTES = 20;
let draft = ""; // kept while the page is open, whatever is looked at meanwhile

/** Who has a part of the city alone has no hand-over. @param {Promise<any>} answer */
const orNone = (answer) => answer.catch((error) => (error.status === 403 ? null : Promise.reject(error)));

const read = (note) => remember("handover", String(note.id));

/** The notes of a period and of the shift before it, and where it is now: room for one. @param {Date} from @param {Date} to @param {any} on @param {() => void} again */
export async function handoverSection(from, to, on, again) {
  const current = to.getTime() > now() - 60_000;
  const found = await orNone(get("/handovers", { since: new Date(from.getTime() - SHIFT_MS).toISOString(), until: current ? undefined : to.toISOString(), limit: MOST_NOTES }));
  if (!found) return [];
  const [newest] = found.items;
  if (newest) read(newest);
  byId("handover").hidden = true;
  return [
    element("h3", {}, t("handover")), current ? form(on, again) : "",
    found.items.length ? element("ol", { class: "handovers" }, ...found.items.map(note)) : element("p", { class: "dim" }, t("no_handover")),
  ];
}

function note(each) {
  const events = each.open.slice(0, MOST_OPEN).map((event) => element("li", {}, badge(event.level, 15), element("span", { class: "unseen" }, levelName(event.level)),
    [`#${event.id}`, place(event.place), named(event.title), t(`step_${event.step}`), event.who].filter(Boolean).join(" · ")));
  const rest = each.open_count - events.length;
  return element("li", { "data-handover": each.id }, element("p", { class: "meta" }, t("handover_by", { who: each.author, when: local(each.at) })), element("p", { class: "note" }, each.note),
    element("p", { class: "dim" }, t("handover_open", { n: each.open_count })), events.length ? element("ul", {}, ...events, rest > 0 ? element("li", { class: "dim" }, t("more_n", { n: rest })) : "") : "");
}

function form(on, again) {
  const text = /** @type {HTMLTextAreaElement} */ (element("textarea", { rows: "3", maxlength: "4000", name: "handover", placeholder: t("handover_hint"), "aria-label": t("handover_hint"), required: true }));
  text.value = draft;
  text.addEventListener("input", () => { draft = text.value; });
  const wrong = element("p", { class: "wrong", role: "alert" });
  const made = element("form", { class: "noprint handover-form" }, text, element("p", { class: "acts" }, element("button", { class: "primary", "data-act": "hand-over" }, t("hand_over"))), wrong);
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!text.value.trim()) return text.focus();
    try {
      read(await post("/handovers", { note: text.value.trim() }));
      draft = "";
      again();
    } catch (error) {
      if (error.status === 401) return on.failed(error);
      wrong.textContent = !error.status ? t("not_done") : error.status === 403 ? t("need_role") : error.message;
    }
    return null;
  });
  return made;
}

/** Above the list, what the shift before has left; pressed, it opens the report. @param {() => void} open the report */
export async function showHandover(open) {
  const found = await orNone(get("/handovers", { since: new Date(now() - SHIFT_MS).toISOString(), limit: 1 }));
  const [newest] = found?.items ?? [];
  const line = byId("handover");
  line.hidden = !newest || Number(remembered("handover", "0")) >= newest.id;
  if (line.hidden) return line.replaceChildren();
  const seen = () => { read(newest); line.hidden = true; };
  return line.replaceChildren(
    button({ class: "told", "data-act": "handover", onclick: () => { seen(); open(); } }, icon("report", 17), element("span", {}, element("strong", {}, t("handover_by", { who: newest.author, when: local(newest.at) })), element("span", { class: "note" }, newest.note))),
    button({ class: "plain", title: t("handover_read"), "aria-label": t("handover_read"), onclick: seen }, icon("check", 16)));
}
