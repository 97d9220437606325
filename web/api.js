// Talks to /api/v1 with the key that the person gave. The key lives in sessionStorage: closing the tab forgets it.

const STORED = "lifeline.key";
let key = "";

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `HTTP ${status}`);
    this.status = status;
  }
}

/** The key from `#key=…` (taken out of the address bar at once: a fragment never reaches a server) or of this session. */
export function findKey() {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given) {
    history.replaceState(history.state, "", location.pathname + location.search);
    useKey(given);
  }
  key = key || sessionStorage.getItem(STORED) || "";
  return key;
}

export function useKey(text) {
  key = text.trim();
  sessionStorage.setItem(STORED, key);
}

export function forgetKey() {
  key = "";
  sessionStorage.removeItem(STORED);
}

export function request(path, options = {}) {
  const headers = { Authorization: `Bearer ${key}`, ...options.headers };
  return fetch(path, { credentials: "omit", ...options, headers });
}

async function refusal(response) {
  let problem = {};
  try {
    problem = await response.json();
  } catch { /* not ours: a proxy's page */ }
  return new Refused(response.status, problem);
}

function address(path, parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const each of [value].flat()) if (each !== undefined && each !== null && each !== "") query.append(name, each);
  }
  return `/api/v1${path}${query.size ? `?${query}` : ""}`;
}

export async function get(path, parameters = {}) {
  const response = await request(address(path, parameters), { cache: "no-store" });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

export async function post(path, body) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await request(`/api/v1${path}`, options);
  if (!response.ok) throw await refusal(response);
  return response.json();
}

const etags = new Map();

/** The document, or null where it is what the last call from the same place got: nothing to draw. */
export async function getIfChanged(place, path, parameters = {}) {
  const url = address(path, parameters);
  const before = etags.get(place);
  const headers = before?.url === url ? { "If-None-Match": before.etag } : {};
  const response = await request(url, { headers, cache: "no-store" });
  if (response.status === 304) return null;
  if (!response.ok) throw await refusal(response);
  const found = await response.json();
  etags.set(place, { url, etag: response.headers.get("ETag") });
  return found;
}
