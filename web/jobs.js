// Computations that take their time: how far one is, until it is over.

import { get } from "./api.js";
import { element } from "./element.js";
import { t } from "./i18n.js";

const POLL_MS = 1000;

/**
 * Show how far a job is until it is over; the job once it is done, null where it failed or nobody looks any more.
 * @param {any} job @param {HTMLElement} said @param {HTMLElement} wrong @param {() => boolean} looking
 */
export async function untilDone(job, said, wrong, looking) {
  for (let now = job; looking(); now = await get(`/jobs/${job.id}`)) {
    if (now.state === "done") return now;
    if (["failed", "cancelled"].includes(now.state)) {
      said.replaceChildren();
      wrong.textContent = now.message;
      return null;
    }
    said.replaceChildren(element("progress", { max: 1, value: now.progress, "aria-label": t("making_plan") }), element("span", {}, now.message || t(`job_${now.state}`)));
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return null;
}
