// Renewal: which pipes are worst, which to renew for a budget, and what if. The map shows what the list speaks of.

import { download, get, post } from "./api.js";
import { networkName } from "./city.js";
import { button, element, icon } from "./element.js";
import { fileButton, keepMap, keepRows } from "./files.js";
import { lang, local, number, place, t } from "./i18n.js";
import { untilDone } from "./jobs.js";
import { badge } from "./levels.js";
import { EMPTY } from "./mapstyle.js";
import { stressPage } from "./resilience.js";
import { change, state } from "./state.js";
import { closeZones, zonesPage } from "./zones.js";

const TABS = ["ranking", "plan", "whatif", "stress", "zones"];
const MOST_RANKED = 100;
const MILLION = 1e6;

/** Open the renewal. @param {HTMLElement} parent @param {{map: any, failed: (error: any) => void, select: (what: any) => void}} on */
export function open(parent, on) {
  return new Renewal(parent, on).open();
}

class Renewal {
  constructor(parent, on) {
    this.parent = parent;
    this.on = on;
    this.body = element("div", { class: "side-body" });
    this.tabs = element("div", { class: "tabs", role: "group", "aria-label": t("view_renewal") });
    this.works = { renew: [], close: [] };
    this.how = "renew";
  }

  open() {
    this.parent.replaceChildren(this.tabs, this.body);
    this.show(TABS.includes(state.tab) ? state.tab : "ranking");
    return { close: () => this.close(), chosen: (found) => this.chosen(found) };
  }

  close() {
    this.closed = true;
    closeZones(this.on.map);
    this.on.map.show("works", EMPTY);
    this.on.map.pick([]);
  }

  async show(tab) {
    if (this.tab === "zones") closeZones(this.on.map);
    this.tab = tab;
    change({ tab });
    this.tabs.replaceChildren(...TABS.map((each) => button({ class: "tab", "aria-pressed": String(each === tab), onclick: () => this.show(each) }, t(`renewal_${each}`))));
    this.on.map.pick([]);
    if (tab !== "plan") this.on.map.show("works", EMPTY);
    try {
      const made = await this[tab]();
      if (this.tab === tab && !this.closed) this.body.replaceChildren(...made.filter(Boolean));
    } catch (error) {
      this.on.failed(error);
    }
  }

  // ------------------------------------------------------------------------------------------------------ ranking

  /** The worst pipes by their score; each leads to its explanation. */
  async ranking() {
    const found = await get("/risk/segments", { limit: MOST_RANKED });
    const worst = found.features.filter((each) => each.properties.score !== null).sort((a, b) => b.properties.score - a.properties.score);
    const rows = worst.map(({ properties }, at) => element("li", {}, button({ class: `rank ${properties.level}`, onclick: () => this.look(properties.id) },
      element("span", { class: "at" }, at + 1), badge(properties.level, 20),
      element("span", { class: "what" }, element("strong", {}, place(properties.name) || properties.id), element("small", { class: "rule" }, `${networkName(properties.network)} · ${properties.id}`)),
      element("b", {}, number(Math.round(properties.score))))));
    const keep = () => keepRows([["rank", "asset", "name", "network", "level", "score"], ...worst.map(({ properties: each }, at) => [at + 1, each.id, each.name, each.network, each.level, each.score])], "ranking");
    const files = element("div", { class: "acts" }, fileButton("CSV", keep), fileButton("GeoJSON", () => keepMap({ type: "FeatureCollection", features: worst }, "ranking")));
    return [files, element("p", { class: "meta hint" }, t("ranking_hint", { n: rows.length, all: found.numberMatched ?? rows.length })), element("ol", { class: "ranks" }, ...rows)];
  }

  /** To the pipe, once its panel has made the map smaller. */
  look(id) {
    this.on.select({ asset: id }, { go: true });
  }

  // --------------------------------------------------------------------------------------------------------- plan

  /** A budget, and the plans that were made. */
  async plan() {
    const { items } = await get("/plans", { limit: 20 });
    const wrong = element("p", { class: "wrong", role: "alert" });
    const said = element("div", { class: "progress", role: "status" });
    const budget = element("input", { name: "budget", type: "number", min: "0.1", step: "0.1", value: "20", required: true, id: "budget" });
    const years = element("input", { name: "years", type: "number", min: "1", max: "50", value: "5", required: true, id: "years" });
    const network = element("select", { name: "network", id: "plan-network" }, element("option", { value: "" }, t("all")), ...this.on.map.networks.map((key) => element("option", { value: key }, networkName(key))));
    const send = async (event) => {
      event.preventDefault();
      wrong.textContent = "";
      try {
        await this.follow(await post("/plans", { budget: Number(budget.value) * MILLION, years: Number(years.value), network: network.value || null }), said, wrong);
      } catch (error) {
        wrong.textContent = error.status === 403 ? t("need_engineer") : error.message;
      }
    };
    const field = (id, text, input) => element("label", { for: id }, text, input);
    const form = element("form", { class: "ask", onsubmit: send }, field("budget", t("budget"), budget), field("years", t("years"), years), field("plan-network", t("network"), network), element("button", { class: "primary", type: "submit" }, t("make_plan")), wrong, said);
    const made = items.map((each) => element("li", {}, button({ class: "plan", "data-plan": each.id, onclick: () => this.draw(each.id) }, element("strong", {}, each.name || t("plan_n", { id: each.id })), element("small", { class: "rule" }, `${local(each.created_at)} · ${money(each.summary.plan?.cost)} · ${t("works_n", { n: each.summary.plan?.works ?? 0 })}`))));
    this.place = element("div", { class: "drawn" });
    if (items[0] && !this.shown) queueMicrotask(() => this.draw(items[0].id));
    else if (this.shown) queueMicrotask(() => this.draw(this.shown));
    return [form, this.place, made.length ? element("h4", {}, t("plans_made")) : element("p", { class: "empty" }, t("no_plans")), element("ul", { class: "plans" }, ...made)];
  }

  /** A job until it is over; then its plan. */
  async follow(job, said, wrong) {
    const done = await untilDone(job, said, wrong, () => !this.closed && this.tab === "plan");
    if (!done) return;
    this.shown = done.result.plan;
    this.show("plan");
  }

  async draw(id) {
    this.shown = id;
    try {
      const [plan, works] = await Promise.all([get(`/plans/${id}`), get(`/plans/${id}/works.geojson`)]);
      if (this.closed || this.tab !== "plan") return;
      await this.on.map.show("works", works);
      this.place.replaceChildren(this.figures(plan), this.worksList(plan));
    } catch (error) {
      this.on.failed(error);
    }
  }

  figures({ id, summary, name }) {
    const lists = Object.entries(summary.ratio ?? {}).filter(([, ratio]) => ratio !== null);
    const file = (kind, path, text) => button({ class: "plain button", onclick: () => download(`/plans/${id}/${path}`, {}, `plan-${id}.${kind}`).catch(this.on.failed) }, icon("download", 15), text);
    return element("section", { class: "figures-of-plan" }, element("h3", {}, name || t("plan_n", { id })),
      element("dl", {}, ...[
        [t("gain"), money(summary.plan.gain)], [t("cost"), money(summary.plan.cost)], [t("works_count"), `${summary.plan.works} · ${number(summary.plan.length_m / 1000, "km")}`],
        [t("failures_avoided"), number(summary.failures_avoided)], ...lists.map(([list, ratio]) => [t(`against_${list}`), `${number(ratio)} ×`]),
      ].flatMap(([what, value]) => [element("dt", {}, what), element("dd", {}, value)])),
      element("div", { class: "acts" }, file("pdf", "report.pdf", "PDF"), file("csv", "works.csv", "CSV"), file("geojson", "works.geojson", "GeoJSON")));
  }

  worksList({ works }) {
    const rows = works.map((work) => element("li", {}, button({ class: "rank", onclick: () => this.hold(work) }, element("span", { class: "at" }, work.year),
      element("span", { class: "what" }, element("strong", {}, place(work.street) || work.assets?.[0] || `#${work.work}`), element("small", { class: "rule" }, `${(work.networks ?? []).map(networkName).join("+")} · ${number(work.length_m, "m")} · ${money(work.cost)}`)),
      element("b", { title: t("gain_per_cost") }, number(work.gain_per_cost)))));
    return element("ol", { class: "ranks" }, ...rows);
  }

  /** One work on the map. */
  hold(work) {
    this.on.map.pick(work.assets ?? []);
    const there = this.on.map.data.works.features.find((each) => each.properties.work === work.work);
    const point = there?.geometry.coordinates[0]?.[0];
    if (point) this.on.map.goTo(...point);
  }

  // ------------------------------------------------------------------------------------------- losses, and suggested zones

  /** What the other tabs work with. */
  of(tab) {
    return { ...this.on, looking: () => !this.closed && this.tab === tab, again: () => this.show(tab) };
  }

  stress() {
    return stressPage(this.of("stress"));
  }

  zones() {
    return zonesPage(this.of("zones"));
  }

  // ------------------------------------------------------------------------------------------------------ what if

  /** Pipes clicked on the map are closed or renewed in thought; the answer is what would change. */
  async whatif() {
    const ways = ["renew", "close"].map((how) => button({ class: "pill", "aria-pressed": String(how === this.how), onclick: () => { this.how = how; this.show("whatif"); } }, t(`whatif_${how}`)));
    const chips = ["renew", "close"].flatMap((how) => this.works[how].map((id) => button({ class: `chip ${how}`, title: t("take_away"), onclick: () => this.toggle(id) }, `${t(`whatif_${how}`)} ${id} ✕`)));
    const chosen = [...this.works.renew, ...this.works.close];
    this.on.map.pick(chosen);
    const answer = chosen.length ? await post("/risk/what-if", this.works) : null;
    return [
      element("p", { class: "meta hint" }, t("whatif_hint")), element("div", { class: "pills" }, ...ways), element("div", { class: "chosen-pipes" }, ...chips),
      answer ? this.effect(answer) : "",
    ];
  }

  toggle(id) {
    const known = ["renew", "close"].find((how) => this.works[how].includes(id));
    if (known) this.works[known] = this.works[known].filter((each) => each !== id);
    if (known !== this.how && !known) this.works[this.how] = [...this.works[this.how], id];
    this.show("whatif");
  }

  /** A click on the map; true where it was meant for this view. */
  chosen(found) {
    if (this.tab !== "whatif") return false;
    if (found?.asset) this.toggle(found.asset);
    return true;
  }

  effect({ before, after, changed, cut_off: cut }) {
    const plain = (value) => (typeof value === "number" ? number(value) : typeof value === "string" ? value : "–");
    const keys = ["pipes", "length_m", "failures_per_year", "loss_per_year", "score"];
    const rows = keys.map((key) => element("tr", {}, element("th", { scope: "row" }, t(`wi_${key}`)), element("td", { class: "number" }, plain(before[key])), element("td", { class: "number" }, plain(after[key]))));
    const head = element("tr", {}, element("td"), element("th", { scope: "col", class: "number" }, t("before")), element("th", { scope: "col", class: "number" }, t("after")));
    const list = changed.map((each) => element("li", {}, button({ class: "rank", onclick: () => this.look(each.asset) }, element("span", { class: "what" }, element("strong", {}, each.asset), element("small", { class: "rule" }, t(`whatif_${{ closed: "close", renewed: "renew" }[each.change] ?? each.change}`))), element("b", {}, `${plain(each.score_before)} → ${plain(each.score_after)}`))));
    const lost = [
      cut.pipes.length ? t("cut_off", { n: cut.pipes.length, length: number(cut.length_m, "m") }) : "",
      cut.customers ? t("without_service", { n: number(cut.customers) }) : "",
    ].filter(Boolean);
    return element("section", {}, element("table", { class: "plain-table" }, element("thead", {}, head), element("tbody", {}, ...rows)), ...lost.map((line) => element("p", { class: "wrong" }, line)), element("ol", { class: "ranks" }, ...list));
  }
}

const TEN_THOUSAND = 1e4;

/** Yuan: in ten thousands in Chinese, in millions in English. */
function money(value) {
  if (value === undefined || value === null) return "–";
  const [unit, word] = lang() === "zh" ? [TEN_THOUSAND, " 万元"] : [MILLION, " M"];
  const sign = lang() === "zh" ? "" : "¥";
  return Math.abs(value) >= unit ? `${sign}${number(value / unit)}${word}` : `¥${number(value)}`;
}
