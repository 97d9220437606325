// Talks to /api/v1 by the session that the person opened, or with the key that he gave. A key lives in sessionStorage:
// closing the tab forgets it. A session lives in a cookie that no script can read; its proof for changes is kept here.

const STORED = "lifeline.key";
const PROOF = "lifeline.csrf";
const PRESENT_MS = 60_000; // a key or click tells that somebody is there: what the page fetches by itself keeps no session alive
let key = "";
let proof = "";
let acted = -PRESENT_MS;
for (const act of ["keydown", "pointerdown", "wheel"]) {
  addEventListener(act, () => { acted = performance.now(); }, { capture: true, passive: true });
}

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

/** Whether the address asks for something before all else: a one-time link, or a log-in elsewhere that has just ended. */
export const hasErrand = () => /^#(link=|in$|refused=)/.test(location.hash);

/** What the address asks for (`#link=…`, `#in`, `#refused=…`), which is taken out of it. */
export function errand() {
  const said = new URLSearchParams(location.hash.slice(1));
  history.replaceState(history.state, "", location.pathname + location.search);
  return { link: said.get("link"), refused: said.get("refused") };
}

/** Open a session by a one-time link. Raises Refused. @param {string} link */
export const useLink = (link) => logIn({ link });

/** Take the session that a log-in elsewhere has opened. Raises Refused. */
export async function arrive() {
  forgetKey();
  keepProof(await get("/session"));
}

/** Whether the page came in by a session, and not with a key. */
export const bySession = () => Boolean(proof && !key);

/** Keep the proof for changes of a session that was opened. @param {{csrf: string}} session */
export function keepProof({ csrf }) {
  proof = csrf;
  localStorage.setItem(PROOF, proof);
}

// Another tab logged in anew, or out: the cookie is the same for all.
addEventListener("storage", (event) => { if (event.key === PROOF) proof = event.newValue ?? ""; });

/** Open a session. Raises Refused. @param {{name: string, password: string} | {link: string | null}} said */
export async function logIn(said) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(said) };
  const response = await fetch("/api/v1/session", { credentials: "same-origin", ...options });
  if (!response.ok) throw await refusal(response);
  forgetKey();
  keepProof(await response.json());
}

/** End the session, if there is one, and forget the key. Where to go on leaving it elsewhere too, or nothing. */
export async function logOut() {
  try {
    if (!bySession()) return "";
    const { kind } = await get("/session");
    await request("/api/v1/session", { method: "DELETE" });
    return kind === "sso" ? "/api/v1/session/oidc/log-out" : "";
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
  const by = key ? { Authorization: `Bearer ${key}` } : { "X-CSRF-Token": proof, ...(performance.now() - acted < PRESENT_MS && { "X-Acted": "1" }) };
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

/** Every row of a list, page by page: in a storm nothing that is open may be missing. @param {string} path @param {Record<string, unknown>} parameters */
export async function all(path, parameters) {
  const rows = [];
  for (let after; ;) {
    const page = await get(path, after ? { ...parameters, after } : parameters);
    rows.push(...page.items);
    if (!(after = page.next)) return rows;
  }
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
