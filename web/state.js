// Where the page is: in the address, so that a link or a reload shows the same.

const query = new URLSearchParams(location.search);

export const state = {
  network: query.get("network") || "",
  level: query.get("level") || "",
  kind: query.get("kind") || "risk",
  alert: query.get("alert") || "",
  asset: query.get("asset") || "",
  sensor: query.get("sensor") || "",
  cell: query.get("cell") || "",
  at: query.get("at") || "", // longitude,latitude,zoom
  off: query.get("off") || "", // layers that are switched off
};

const DEFAULTS = { kind: "risk" };

/** Change the state and the address. `visit` makes it a step that the back button undoes. */
export function change(values, { visit = false } = {}) {
  Object.assign(state, values);
  const next = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(state)) {
    if (value && value !== DEFAULTS[name]) next.set(name, value);
    else next.delete(name);
  }
  const text = next.toString().replaceAll("%2C", ",");
  const url = location.pathname + (text ? `?${text}` : "");
  history[visit ? "pushState" : "replaceState"](null, "", url);
}

export function onBack(handler) {
  addEventListener("popstate", () => {
    const back = new URLSearchParams(location.search);
    for (const name of Object.keys(state)) state[name] = back.get(name) || DEFAULTS[name] || "";
    handler();
  });
}

/** What is remembered on this machine: language and theme, never a key. */
export function remembered(name, fallback) {
  return localStorage.getItem(`lifeline.${name}`) ?? fallback;
}

export function remember(name, value) {
  localStorage.setItem(`lifeline.${name}`, value);
}
