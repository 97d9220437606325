// Makes elements. Text goes in as text: nothing that came over the network is ever read as HTML.

/**
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes] `class`, `on…` listeners, or attributes; null, undefined and false are left out
 * @param {...(Node | string | number | null | undefined | false)} children
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== "" && child !== false).map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

/** @param {string} id @returns {HTMLElement} */
export const byId = (id) => document.getElementById(id);

/** Write a property where it is another: the same once more would have the browser draw again. @param {Node} on @param {string} name @param {unknown} value */
export function write(on, name, value) {
  if (on[name] !== value) on[name] = value;
}

/** A button that is not for sending a form. */
export const button = (attributes, ...children) => element("button", { type: "button", ...attributes }, ...children);

/**
 * Make these the children of `parent`, keeping those that are there already and look the same: what a person is about to
 * press, or has in focus, stays under the hand. Those with a `data-key` are compared with the one of the same key.
 * @param {HTMLElement} parent @param {HTMLElement[]} made
 */
export function settle(parent, made) {
  const kept = new Set();
  const before = [...parent.children];
  const named = new Map(before.map((old) => [old.dataset.key, old])); // a list of hundreds: each is compared with itself alone
  const candidates = (each) => (each.dataset.key ? [named.get(each.dataset.key)].filter(Boolean) : before);
  const children = made.map((each) => {
    const same = candidates(each).find((old) => !kept.has(old) && old.isEqualNode(each)) ?? each;
    kept.add(same);
    return same;
  });
  for (const old of before) if (!kept.has(old)) old.remove();
  let next = parent.firstElementChild;
  for (const each of children) {
    if (each === next) next = next.nextElementSibling;
    else parent.insertBefore(each, next);
  }
}

const SVG = "http://www.w3.org/2000/svg";

/** A drawing of vectors: `svg("path", {d})`. */
export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

// In a box of 24 x 24, drawn as lines.
const ICONS = {
  watch: "M3 12h4l2.5-7 4.5 14 2.5-7H21",
  renewal: "M4 20V9l8-5 8 5v11M9 20v-6h6v6",
  report: "M6 3h9l4 4v14H6zM14 3v5h5M9 13h7M9 17h7",
  report_mark: "M4 4.5h16v11h-8.5L7 20v-4.5H4zM8 10h.2M12 10h.2M16 10h.2",
  admin: "M4 7h9M17 7h3M4 17h3M11 17h9M15 4.5v5M9 14.5v5",
  drills: "M12 3 2.5 20h19zM12 9.5v5M12 17.2v.2",
  sound: "M4 9.5v5h3.5L12 18V6L7.5 9.5zM15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a7.8 7.8 0 0 1 0 11",
  silent: "M4 9.5v5h3.5L12 18V6L7.5 9.5zM16 9.5l5 5M21 9.5l-5 5",
  theme: "M12 3.5a8.5 8.5 0 1 0 0 17zM12 3.5a8.5 8.5 0 0 1 0 17",
  help: "M9 9a3 3 0 1 1 4.2 2.8c-.8.4-1.2 1-1.2 2.2M12 17.5v.2M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
  person: "M12 12a4.2 4.2 0 1 0 0-8.4 4.2 4.2 0 0 0 0 8.4zM4.5 20.5c.8-4 3.8-6 7.5-6s6.7 2 7.5 6",
  out: "M14 4h5v16h-5M3.5 12H14M10.5 8.5 14 12l-3.5 3.5",
  close: "M6 6l12 12M18 6 6 18",
  check: "M4.5 12.5 10 18 19.5 7",
  pin: "M12 21s-6.5-6-6.5-11a6.5 6.5 0 1 1 13 0c0 5-6.5 11-6.5 11zM12 12.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4z",
  play: "M7 5v14l12-7z",
  pause: "M8 5v14M16 5v14",
  compare: "M12 3v18M4 7h5M4 12h5M4 17h5M15 7h5M15 12h5M15 17h5",
  print: "M7 8V3h10v5M5 8h14v8h-2v5H7v-5H5zM7 14h10",
  download: "M12 4v11M7.5 11 12 15.5 16.5 11M4 20h16",
  layers: "M12 3 3 8l9 5 9-5zM3 12.5l9 5 9-5M3 17l9 5 9-5",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  clock: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5.5l3.5 2",
  camera: "M4 8h3l1.5-2.5h7L17 8h3v11H4zM12 16.5a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4z",
};

/** A line drawing; decoration, so the button around it must be named. */
export function icon(name, size = 18) {
  const drawn = svg("svg", { viewBox: "0 0 24 24", width: size, height: size, class: `icon ${name}`, "aria-hidden": "true" });
  drawn.append(svg("path", { d: ICONS[name] }));
  return drawn;
}
