// Chinese and English. Words of the catalogue (networks, quantities, levels) come from the API.

import { remember, remembered } from "./state.js";
import { EN } from "./words/en.js";
import { ZH } from "./words/zh.js";

const WORDS = { zh: ZH, en: EN };
let zone; // of the city; undefined: the browser's

const asked = new URLSearchParams(location.search).get("lang");
let language = WORDS[asked] ? asked : remembered("language", (navigator.language || "zh").startsWith("zh") ? "zh" : "en");
if (!WORDS[language]) language = "zh";
if (WORDS[asked]) remember("language", asked);

export const lang = () => language;
export const locale = () => (language === "zh" ? "zh-CN" : "en-GB");

/** Chinese to English or back; remembered, and in the address where it stands there. */
export function switchLanguage() {
  language = language === "zh" ? "en" : "zh";
  remember("language", language);
  const query = new URLSearchParams(location.search);
  if (query.has("lang")) {
    query.set("lang", language);
    history.replaceState(null, "", `${location.pathname}?${query}`);
  }
}

/**
 * The words of a key in the chosen language, with `{name}` filled in.
 * @param {string} word @param {Record<string, unknown>} [values]
 */
export function t(word, values = {}) {
  const text = WORDS[language][word] ?? word;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** The part of a catalogue entry, or of a rule's words, in the chosen language. */
export const named = (entry) => entry?.[language] ?? entry?.en ?? "";

/** Names come as people give them, often in both languages: "中山路 Zhongshan Rd". Show the half that is asked for, with numbers and ids. */
export function place(name) {
  if (!name) return "";
  const words = name.split(/\s+/);
  const isChinese = (word) => /[\u3400-\u9fff]/.test(word);
  if (!words.some(isChinese) || words.every(isChinese)) return name;
  const ours = (word) => isChinese(word) === (language === "zh");
  const kept = words.filter((word, at) => {
    if (isChinese(word) || !/^[\d#().-]+$|\d.*\d/.test(word)) return ours(word);
    const [before, after] = [words[at - 1], words[at + 1]]; // a number within one half, or in each, is of that half: "第八中学 No. 8 Middle School"
    const within = before && after && isChinese(before) === isChinese(after);
    return within || words.indexOf(word) !== words.lastIndexOf(word) ? ours(before ?? after) : true;
  });
  return kept.join(language === "zh" ? "" : " ") || name;
}

/** What the server writes as one word ("grey_cast_iron", "does not run") in the person's language; what the page does not know stays as it is written. @param {string} family @param {string} value */
export function valueName(family, value) {
  const key = `${family}_${value.toLowerCase().replace(/\W+/g, "_")}`;
  return t(key) === key ? value.replaceAll("_", " ") : t(key);
}

/** The half of a title that is asked for: "爆管 A burst main". Unlike a name of a place it may hold numbers. @param {string} title */
export function half(title) {
  const [, zh, en] = title.match(/^([\u3400-\u9fff][^\sA-Za-z]*)\s+(.+)$/s) ?? [];
  return (language === "zh" ? zh : en) ?? title;
}

/** A number as people read it, with as many digits as mean something. @param {number | null | undefined} value @param {string} [unit] */
export function number(value, unit = "") {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  const text = value.toLocaleString(locale(), { maximumFractionDigits: digits });
  return unit ? `${text}\u202f${unit.replace("m3", "m³")}` : text;
}

/** The city's time zone (IANA): every clock on the page shows it, wherever the browser is. */
export function setZone(name) {
  zone = name || undefined;
}

/** How far the city's clock is from UTC: "UTC+8"; for what is shown without a date. @param {number | Date} [at] */
export function zoneName(at = Date.now()) {
  const parts = new Intl.DateTimeFormat("en-GB", { timeZone: zone, timeZoneName: "shortOffset" }).formatToParts(new Date(at));
  return (parts.find((each) => each.type === "timeZoneName")?.value ?? "UTC").replace("GMT", "UTC");
}

const formats = new Map();

function format(options) {
  const key = `${language}|${zone}|${JSON.stringify(options)}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(locale(), { timeZone: zone, hourCycle: "h23", ...options }));
  return formats.get(key);
}

const DAY = { year: "numeric", month: "2-digit", day: "2-digit" };

/** A moment as date and time, by the city's clock: `full`, `day`, `minute` (hh:mm) or `second` (hh:mm:ss). */
export function local(moment, form = "full") {
  const options = {
    full: { ...DAY, hour: "2-digit", minute: "2-digit" },
    day: { month: "2-digit", day: "2-digit" },
    minute: { hour: "2-digit", minute: "2-digit" },
    second: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
  }[form];
  return format(options).format(new Date(moment));
}

/** hh:mm:ss today, with the day before it on other days. */
export function clock(moment) {
  const date = new Date(moment);
  const time = local(date, "second");
  return local(date, "day") === local(Date.now(), "day") ? time : `${local(date, "day")} ${time}`;
}

/** `2026-11-22T03:10` as the city's wall clock shows a moment: what a datetime-local field holds. */
export function wall(moment) {
  const parts = Object.fromEntries(new Intl.DateTimeFormat("en-CA", { timeZone: zone, hourCycle: "h23", ...DAY, hour: "2-digit", minute: "2-digit" }).formatToParts(new Date(moment)).map((each) => [each.type, each.value]));
  return `${parts.year}-${parts.month}-${parts.day}T${parts.hour}:${parts.minute}`;
}

/** The moment at which the city's wall clock shows this text. */
export function moment(text) {
  const guess = Date.parse(`${text}Z`);
  const shift = (at) => Date.parse(`${wall(at)}Z`) - Math.floor(at / 60_000) * 60_000;
  const first = guess - shift(guess);
  return new Date(guess - shift(first));
}

/** A length of time in one unit: "12 min". @param {number} seconds */
export function span(seconds) {
  const s = Math.max(0, seconds);
  if (s < 60) return t("second", { n: Math.round(s) });
  if (s < 5400) return t("minute", { n: Math.round(s / 60) });
  if (s < 172_800) return t("hour", { n: Math.round(s / 3600) });
  return t("day", { n: Math.round(s / 86_400) });
}
