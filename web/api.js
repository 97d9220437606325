// Talks to /api/v1 by the session that the person opened, or with the key that he gave. A key lives in sessionStorage:
// closing the tab forgets it. A session lives in a cookie that no script can read; its proof for changes is kept here.

const STORED = "lifeline.key";
const PROOF = "lifeline.csrf";
let key = "";
let proof = "";

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
  proof = proof || localStorage.getItem(PROOF) || "";
  return key || proof;
}

/** Whether the address holds a one-time link: it must be used before anything is asked for. */
export const hasLink = () => new URLSearchParams(location.hash.slice(1)).has("link");

/** Open a session by the one-time link in the address (`#link=…`), which is taken out of it. Raises Refused. */
export async function useLink() {
  const link = new URLSearchParams(location.hash.slice(1)).get("link");
  history.replaceState(history.state, "", location.pathname + location.search);
  await logIn({ link });
}

/** Open a session. Raises Refused. @param {{name: string, password: string} | {link: string | null}} said */
export async function logIn(said) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(said) };
  const response = await fetch("/api/v1/session", { credentials: "same-origin", ...options });
  if (!response.ok) throw await refusal(response);
  forgetKey();
  proof = (await response.json()).csrf;
  localStorage.setItem(PROOF, proof);
}

/** End the session, if there is one, and forget the key. */
export async function logOut() {
  try {
    if (proof && !key) await request("/api/v1/session", { method: "DELETE" });
  } finally {
    forgetKey();
  }
}

/** Take this key for the session. @param {string} text */
export function useKey(text) {
  key = text.trim();
  sessionStorage.setItem(STORED, key);
}

/** Forget by what the page came in. */
export function forgetKey() {
  key = proof = "";
  sessionStorage.removeItem(STORED);
  localStorage.removeItem(PROOF);
}

const ahead = new Map();

/** Ask now for what will be wanted soon: the next `get` of the same takes this answer. @param {string} path @param {Record<string, unknown>} [parameters] */
export function askAhead(path, parameters = {}) {
  const url = address(path, parameters);
  const answer = request(url, { cache: "no-store" });
  answer.catch(() => {}); // told where it is taken
  ahead.set(url, answer);
}

/** A request with the key. @param {string} path @param {RequestInit} [options] */
export function request(path, options = {}) {
  const asked = (options.method ?? "GET") === "GET" && ahead.get(path);
  if (asked) {
    ahead.delete(path);
    return asked;
  }
  const by = key ? { Authorization: `Bearer ${key}` } : { "X-CSRF-Token": proof };
  return fetch(path, { credentials: key ? "omit" : "same-origin", ...options, headers: { ...by, ...options.headers } });
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

/** The document at a path of /api/v1. Raises Refused. @param {string} path @param {Record<string, unknown>} [parameters] */
export async function get(path, parameters = {}) {
  const response = await request(address(path, parameters), { cache: "no-store" });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

/** Send something; what the server makes of it. Raises Refused. @param {string} path @param {unknown} [body] */
export async function post(path, body, method = "POST") {
  const options = { method, headers: { "Content-Type": "application/json" }, body: body === undefined ? undefined : JSON.stringify(body) };
  const response = await request(`/api/v1${path}`, options);
  if (!response.ok) throw await refusal(response);
  return response.status === 204 ? null : response.json();
}

/** A file that the API makes, given to the browser to keep: a link could not send the key. @param {string} path @param {string} name */
export async function download(path, parameters, name) {
  const response = await request(address(path, parameters), { cache: "no-store" });
  if (!response.ok) throw await refusal(response);
  save(await response.blob(), name);
}

/** Give the browser something to keep. @param {Blob} blob @param {string} name */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
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

/** The next call from this place gets the whole document: something else was drawn there meanwhile. @param {string} place */
export const forget = (place) => etags.delete(place);
