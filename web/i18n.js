// Chinese and English. Words of the catalogue (networks, quantities, levels) come from the API.

import { remember, remembered } from "./state.js";

const WORDS = {
  zh: {
    all: "全部", risk_alerts: "风险预警", maintenance_alerts: "设备维护", cells: "网格", pipes: "管线", sensors: "监测点",
    alerts: "预警", layers: "图层", legend: "风险等级", unknown: "未知", unknown_hint: "无数据,不代表安全",
    data_as_of: "数据截至", live: "实时", time: "时间", connecting: "连接中", lost: "连接中断",
    stale_stream: "与服务器的实时连接已中断,正在重连。页面显示的是 {time} 的情况。",
    stale_data: "最近一次监测数据为 {time}({age}前)。地图可能已过时。",
    error_network: "无法连接服务器", error_refused: "密钥无效或已过期,请重新登录", error_server: "服务器出错:{detail}",
    sign_in: "登录", key: "访问密钥", sign_out: "退出", language: "EN", theme: "切换明暗主题",
    nothing_open: "没有未关闭的预警", nothing_here: "此筛选下没有预警", new: "未确认", acknowledged: "已确认",
    returned: "已恢复,未确认", shelved: "已搁置", suppressed: "已抑制", out_of_service: "停用", closed: "已关闭",
    acknowledge: "确认预警", acknowledging: "正在确认…", note: "备注(可选)", by: "由 {who} 于 {when} 确认",
    need_role: "此密钥无权确认预警", conflict: "该预警状态已变化,已刷新",
    evidence: "依据", advice: "处置建议", history: "过程记录", close: "关闭", last_24h: "近 24 小时", no_readings: "该时段无数据",
    no_sensors: "此处没有监测点", newest: "最新", silent: "静默", silent_for: "已静默 {age}", now: "刚刚", ago: "{age}前", never: "从未上报",
    risk: "风险", risk_parts: "风险构成", score: "分值", standing: "固有风险", not_assessed: "尚未评估",
    mean: "平均破损率", material: "管材", age: "管龄", diameter: "管径", soil: "土壤", condition: "检测评级", breaks: "破损记录", supply: "停供占比", facility: "重要用户", road: "道路", size: "管道规模", live_part: "实时预警", incident: "关联事件", joined: "相邻管段预警", coupling: "跨网耦合",
    facts: "设施信息", install_year: "建设年份", length: "长度", depth: "埋深", customers: "用户数", critical: "重要用户", yes: "是", from_to: "起止",
    coverage: "监测覆盖", coverage_live: "有实时数据", coverage_silent: "监测点全部静默", coverage_none: "无监测点", reasons: "主要原因",
    cell: "网格", mean_score: "长度加权平均", max_score: "最高分", cell_assets: "设施", cell_length: "管线长度", cell_sensors: "监测点",
    above: "{quantity} {value},高于限值 {limit}", below: "{quantity} {value},低于限值 {limit}",
    rate: "{quantity} {value},变化速率 {rate}/分钟(限值 {limit})", silence: "已有 {age} 没有数据(最长允许 {longest})",
    last_will: "设备已离线", peak: "峰值 {value}", limit: "限值", held: "持续 {age}", at_place: "位置", fit: "查看全城",
    pipe: "管道", junction: "节点", valve: "阀门", chamber: "井室", pump: "泵站", tank: "水池", regulator: "调压站", outfall: "排口",
    raised: "触发", escalated: "升级", deescalated: "降级", acknowledged_action: "确认", returned_action: "恢复正常",
    closed_action: "关闭", raised_again: "再次触发", detector: "系统", new_red: "新的红色预警:{place}", counts_of: "{open} 条未关闭,{new} 条未确认", good: "正常",
    backlog: "补传", implausible: "可疑", minute: "{n} 分钟", second: "{n} 秒", hour: "{n} 小时", day: "{n} 天", degrees: "经纬度", shown_worst: "仅显示最严重的 {n} 条管线,请放大",
  },
  en: {
    all: "All", risk_alerts: "Risk", maintenance_alerts: "Maintenance", cells: "Cells", pipes: "Pipes", sensors: "Sensors",
    alerts: "Alerts", layers: "Layers", legend: "Level of risk", unknown: "Unknown", unknown_hint: "No data is not safe",
    data_as_of: "Data as of", live: "Live", time: "Time", connecting: "Connecting", lost: "Connection lost",
    stale_stream: "The live connection is lost; trying again. The page shows {time}.",
    stale_data: "The newest reading is from {time}, {age} ago. The map may be out of date.",
    error_network: "The server cannot be reached", error_refused: "The key is not valid or has expired: sign in again", error_server: "The server failed: {detail}",
    sign_in: "Sign in", key: "Access key", sign_out: "Sign out", language: "中文", theme: "Dark or light",
    nothing_open: "No open alerts", nothing_here: "No alerts with this filter", new: "New", acknowledged: "Acknowledged",
    returned: "Returned, not acknowledged", shelved: "Shelved", suppressed: "Suppressed", out_of_service: "Out of service", closed: "Closed",
    acknowledge: "Acknowledge", acknowledging: "Acknowledging…", note: "Note (optional)", by: "Acknowledged by {who} at {when}",
    need_role: "This key may not acknowledge", conflict: "The alert has changed meanwhile; shown anew",
    evidence: "Why", advice: "What to do", history: "History", close: "Close", last_24h: "Last 24 hours", no_readings: "No readings in this span",
    no_sensors: "No sensors here", newest: "Newest", silent: "Silent", silent_for: "silent for {age}", now: "just now", ago: "{age} ago", never: "never heard",
    risk: "Risk", risk_parts: "Risk by its parts", score: "Score", standing: "Standing", not_assessed: "Not assessed yet",
    mean: "Mean break rate", material: "Material", age: "Age", diameter: "Diameter", soil: "Soil", condition: "Inspected condition", breaks: "Breaks on record", supply: "Share of supply lost", facility: "Critical facility", road: "Road above", size: "Size of the pipe", live_part: "Open alerts", incident: "Incident", joined: "Alerts next to it", coupling: "Other networks",
    facts: "Asset", install_year: "Installed", length: "Length", depth: "Depth", customers: "Customers", critical: "Critical customer", yes: "yes", from_to: "From, to",
    coverage: "Coverage", coverage_live: "live data", coverage_silent: "all sensors silent", coverage_none: "no sensors", reasons: "Main reasons",
    cell: "Cell", mean_score: "Mean by length", max_score: "Highest score", cell_assets: "Assets", cell_length: "Pipes", cell_sensors: "Sensors",
    above: "{quantity} {value}, above the limit of {limit}", below: "{quantity} {value}, below the limit of {limit}",
    rate: "{quantity} {value}, changing by {rate} a minute (limit {limit})", silence: "No data for {age} (longest allowed {longest})",
    last_will: "The device went offline", peak: "peak {value}", limit: "Limit", held: "for {age}", at_place: "Place", fit: "Whole city",
    pipe: "Pipe", junction: "Junction", valve: "Valve", chamber: "Chamber", pump: "Pump", tank: "Tank", regulator: "Regulator", outfall: "Outfall",
    raised: "raised", escalated: "escalated", deescalated: "de-escalated", acknowledged_action: "acknowledged", returned_action: "returned to normal",
    closed_action: "closed", raised_again: "raised again", detector: "system", new_red: "New red alert: {place}", counts_of: "{open} open, {new} new", good: "good",
    backlog: "late", implausible: "implausible", minute: "{n} min", second: "{n} s", hour: "{n} h", day: "{n} d", degrees: "Position", shown_worst: "Only the worst {n} pipes are shown: zoom in",
  },
};

const asked = new URLSearchParams(location.search).get("lang");
let language = WORDS[asked] ? asked : remembered("language", (navigator.language || "zh").startsWith("zh") ? "zh" : "en");
if (!WORDS[language]) language = "zh";
if (WORDS[asked]) remember("language", asked);

export const lang = () => language;
export const locale = () => (language === "zh" ? "zh-CN" : "en-GB");

export function switchLanguage() {
  language = language === "zh" ? "en" : "zh";
  remember("language", language);
  const query = new URLSearchParams(location.search);
  if (query.has("lang")) {
    query.set("lang", language);
    history.replaceState(null, "", `${location.pathname}?${query}`);
  }
}

export function t(word, values = {}) {
  const text = WORDS[language][word] ?? word;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** The part of a catalogue entry, or of a rule's words, in the chosen language. */
export const named = (entry) => entry?.[language] ?? entry?.en ?? "";

/** Names come as people give them, often in both languages: "中山路 Zhongshan Rd". Show the half that is asked for. */
export function place(name) {
  if (!name) return "";
  const words = name.split(/\s+/);
  const isChinese = (word) => /[\u3400-\u9fff]/.test(word);
  if (!words.some(isChinese) || words.every(isChinese)) return name;
  const kept = words.filter((word) => isChinese(word) === (language === "zh") || /^[\d#().-]+$/.test(word));
  return kept.join(language === "zh" ? "" : " ") || name;
}

export function number(value, unit = "") {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  const text = value.toLocaleString(locale(), { maximumFractionDigits: digits });
  return unit ? `${text}\u202f${unit.replace("m3", "m³")}` : text;
}

export function clock(moment) {
  const date = new Date(moment);
  const sameDay = date.toDateString() === new Date().toDateString();
  const time = date.toLocaleTimeString(locale(), { hour12: false });
  return sameDay ? time : `${date.toLocaleDateString(locale(), { month: "2-digit", day: "2-digit" })} ${time}`;
}

export function span(seconds) {
  const s = Math.max(0, seconds);
  if (s < 90) return t("second", { n: Math.round(s) });
  if (s < 5400) return t("minute", { n: Math.round(s / 60) });
  if (s < 172_800) return t("hour", { n: Math.round(s / 3600) });
  return t("day", { n: Math.round(s / 86_400) });
}
