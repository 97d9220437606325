// Where the page is: in the address, so that a link or a reload shows the same.

const NAMES = [
  "view", // "" (watch), renewal, report, admin
  "network", "level", "kind", "step", // filters of the list
  "find", // words that the list is searched for
  "incident", "alert", "report", "asset", "sensor", "cell", // what is chosen
  "at", // longitude,latitude,zoom
  "off", // layers that are switched off
  "span", // of the chart: 24h, 7d, 30d, 1y
  "moment", "against", // the map of a past moment, and the one that it is compared with
  "tab", // of the administration, of the renewal
];
const DEFAULTS = { kind: "risk", span: "24h" };

const read = () => {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(NAMES.map((name) => [name, query.get(name) || DEFAULTS[name] || ""]));
};

/** @type {Record<string, string>} */
export const state = read();

/**
 * Change the state and the address. `visit` makes it a step that the back button undoes.
 * @param {Record<string, string>} values
 */
export function change(values, { visit = false } = {}) {
  Object.assign(state, values);
  const next = new URLSearchParams(location.search);
  for (const name of NAMES) {
    if (state[name] && state[name] !== DEFAULTS[name]) next.set(name, state[name]);
    else next.delete(name);
  }
  const text = next.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  const url = location.pathname + (text ? `?${text}` : "");
  if (url !== location.pathname + location.search) history[visit ? "pushState" : "replaceState"](null, "", url);
}

/** @param {() => void} handler called with the state as it was there */
export function onBack(handler) {
  addEventListener("popstate", () => {
    Object.assign(state, read());
    handler();
  });
}

/** What is remembered on this machine: language, theme and sound, never a key. */
export function remembered(name, fallback) {
  try {
    return localStorage.getItem(`lifeline.${name}`) ?? fallback;
  } catch { // a browser that keeps nothing
    return fallback;
  }
}

/** Keep something on this machine. @param {string} name @param {string} value */
export function remember(name, value) {
  try {
    localStorage.setItem(`lifeline.${name}`, value);
  } catch { /* see above */ }
}
