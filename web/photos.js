// Photos in the panel: fetched with the key, as no address of one opens anything by itself.

import { request } from "./api.js";
import { element } from "./element.js";
import { t } from "./i18n.js";

/** The section of a panel; nothing where there are none. @param {string} title @param {{path: string, said: string}[]} photos paths below /api/v1 */
export function pictures(title, photos) {
  if (!photos.length) return "";
  const shown = photos.map(({ path, said }) => {
    const image = element("img", { alt: t("photo") });
    request(`/api/v1${path}`).then((answer) => (answer.ok ? answer.blob() : Promise.reject(answer))).then((blob) => {
      image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
      image.src = URL.createObjectURL(blob);
    }).catch(() => image.replaceWith(t("photo_wrong")));
    return element("figure", {}, image, element("figcaption", {}, said));
  });
  return element("section", {}, element("h4", {}, title), element("div", { class: "photos" }, ...shown));
}
