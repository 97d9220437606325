// What a loss would do: the assets that most depends on, stress tests that were computed, and what closing one pipe means.

import { get, post } from "./api.js";
import { networkName } from "./city.js";
import { button, element } from "./element.js";
import { fileButton, keepRows } from "./files.js";
import { local, number, place, t } from "./i18n.js";
import { untilDone } from "./jobs.js";

const KINDS = ["loss", "earthquake", "storm"];
const MOST_CRITICAL = 30;

const percent = (share) => `${number(Math.round(share * 1000) / 10)} %`;

/** The tab of the renewal. @param {any} view with map, select, looking() and again() */
export async function stressPage(view) {
  const [tests, critical] = await Promise.all([get("/stress-tests", { limit: 20 }), get("/risk/criticality", { limit: MOST_CRITICAL })]);
  const drawn = element("div", { class: "drawn" });
  const shown = tests.items.find((each) => each.id === view.test) ?? tests.items[0];
  if (shown) drawn.append(await weakest(shown.id, view));
  const made = tests.items.map((each) => element("li", {}, button({ class: "plan", "data-test": each.id, onclick: async () => drawn.replaceChildren(await weakest(each.id, view)) },
    element("strong", {}, headingOf(each)), element("small", { class: "rule" }, `${local(each.computed_at)} · ${figureOf(each)}`))));
  return [
    asking(view), drawn, made.length ? element("h4", {}, t("stress_made")) : element("p", { class: "empty" }, t("no_stress")), element("ul", { class: "plans" }, ...made),
    element("h4", {}, t("most_critical")), criticalList(critical.items, view),
  ];
}

const headingOf = ({ kind, network, parameters }) => [t(`stress_${kind}`), networkName(network), parameters.asset ?? ""].filter(Boolean).join(" · ");

/** The one figure that says most of a test. */
function figureOf({ result }) {
  if (typeof result.share_served === "number") return t("still_served", { share: percent(result.share_served) });
  const first = Object.entries(result).find(([, value]) => typeof value === "number");
  return first ? `${first[0].replaceAll("_", " ")} ${number(first[1])}` : "";
}

/** Ask for a test: a job of the planning process. */
function asking(view) {
  const wrong = element("p", { class: "wrong", role: "alert" });
  const said = element("div", { class: "progress", role: "status" });
  const asset = element("input", { name: "asset", id: "stress-asset", maxlength: "64", autocomplete: "off", value: view.asset ?? "" });
  const network = element("select", { id: "stress-network" }, ...view.map.networks.map((key) => element("option", { value: key, selected: key === "water" }, networkName(key))));
  const kind = element("select", { id: "stress-kind" }, ...KINDS.map((each) => element("option", { value: each }, t(`stress_${each}`))));
  const send = async (event) => {
    event.preventDefault();
    wrong.textContent = "";
    const parameters = { kind: kind.value, network: kind.value === "storm" ? "drainage" : network.value, ...(asset.value.trim() ? { asset: asset.value.trim() } : {}) };
    try {
      const job = await untilDone(await post("/jobs", { kind: "stress", parameters }), said, wrong, view.looking);
      if (job) view.again();
    } catch (error) {
      wrong.textContent = error.status === 403 ? t("need_engineer") : error.message;
    }
  };
  const field = (id, text, input) => element("label", { for: id }, text, input);
  return element("form", { class: "ask", onsubmit: send }, field("stress-kind", t("stress_kind"), kind), field("stress-network", t("network"), network), field("stress-asset", t("stress_asset"), asset),
    element("button", { class: "primary", type: "submit" }, t("run")), wrong, said);
}

/** One test with its ranked weak links. */
async function weakest(id, view) {
  const test = await get(`/stress-tests/${id}`);
  const { weakest: links = [], ...figures } = test.result;
  const rows = links.map((each) => {
    const [name, value] = Object.entries(each).find(([key, found]) => !["rank", "asset", "kind"].includes(key) && typeof found === "number") ?? ["", null];
    return element("li", {}, button({ class: "rank", onclick: () => goToAsset(each.asset, view) }, element("span", { class: "at" }, each.rank),
      element("span", { class: "what" }, element("strong", {}, each.asset), element("small", { class: "rule" }, [t(each.kind ?? ""), measureName(name)].filter(Boolean).join(" · "))), element("b", {}, value === null ? "" : number(value))));
  });
  const known = Object.entries(figures).filter(([, value]) => typeof value === "number").sort(([one], [other]) => rank(one) - rank(other)).flatMap(([name, value]) => [element("dt", {}, measureName(name)), element("dd", {}, /^share|resilience/.test(name) ? percent(value) : number(value))]);
  const keep = () => keepRows([["rank", "asset", "kind", "measure", "value"], ...links.map((each) => { const { rank, asset, kind, ...rest } = each; const [name, value] = Object.entries(rest)[0] ?? []; return [rank, asset, kind, name, value]; })], `stress-test-${id}`);
  return element("section", { class: "figures-of-plan" }, element("h3", {}, headingOf(test)), element("dl", {}, ...known),
    ...(links.length ? [element("h4", {}, t("weakest")), element("ol", { class: "ranks" }, ...rows), element("div", { class: "acts" }, fileButton("CSV", keep))] : []));
}

/** What is asked first of a test comes first, how it was computed last; the rest as the API gives it. */
const FIRST = ["share_served", "customers_without", "critical_without", "share_worst", "lasts_hours", "recovery_hours_90", "recovery_hours", "mended_hours"];
const LAST = ["runs"];
const rank = (name) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length + Number(LAST.includes(name)));

/** The name of a figure in the person's language; the API's own word where there is none. */
const measureName = (name) => (t(`st_${name}`) === `st_${name}` ? name.replaceAll("_", " ") : t(`st_${name}`));

function criticalList(items, view) {
  const rows = items.map((each, at) => element("li", {}, button({ class: "rank", "data-critical": each.asset, onclick: () => goToAsset(each.asset, view) }, element("span", { class: "at" }, at + 1),
    element("span", { class: "what" }, element("strong", {}, place(each.name) || each.asset), element("small", { class: "rule" }, `${networkName(each.network)} · ${t(each.kind)} · ${each.asset}`)),
    element("b", { title: t("st_customers_without") }, number(each.customers_lost)))));
  return element("ol", { class: "ranks" }, ...rows);
}

const goToAsset = (id, view) => view.select({ asset: id }, { go: true });

/** In the panel of a pipe: what happens if it is closed, asked for by a press. @param {any} thing @param {any} on */
export function ifClosed(thing, on) {
  if (thing.kind !== "pipe") return "";
  const answer = element("div", { role: "status" });
  const ask = async () => {
    try {
      const [{ cut_off: cut }, critical] = await Promise.all([post("/risk/what-if", { close: [thing.id], network: thing.network }), get("/risk/criticality", { network: thing.network, limit: 1000 })]);
      const lost = critical.items.find((each) => each.asset === thing.id);
      answer.replaceChildren(
        element("p", {}, cut.pipes.length ? t("cut_off", { n: cut.pipes.length, length: number(cut.length_m, "m") }) : t("cut_nothing")),
        lost ? element("p", {}, t("lost_with_it", { customers: number(lost.customers_lost), critical: number(lost.critical_lost), share: percent(lost.loss) })) : "",
        element("p", { class: "meta" }, t(lost?.method === "hydraulic" ? "by_hydraulics" : "by_graph")));
      on.hold([thing.id, ...cut.pipes]);
    } catch (error) {
      answer.replaceChildren(element("p", { class: "wrong" }, error.message));
    }
  };
  return element("section", { class: "closing" }, element("h4", {}, t("if_closed")), button({ class: "plain button", "data-act": "if-closed", onclick: ask }, t("if_closed_ask")), answer);
}
