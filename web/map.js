// The map: cells, pipes, sensors and alerts by level. No base map: the pipes suggest the streets.

import * as maplibre from "/vendor/maplibre/maplibre-gl.mjs";
import { ALL, badge, colourOf, hatching, picture } from "./levels.js";
import { place, t } from "./i18n.js";

maplibre.setWorkerUrl("/vendor/maplibre/maplibre-gl-worker.mjs");

const EMPTY = { type: "FeatureCollection", features: [] };
const DASHES = { gas: [3, 1.4], drainage: [0.6, 1.2] }; // water and any further network: a full line
const MOST_MARKERS = 150;
const PIPE_WIDTH = ["interpolate", ["exponential", 1.6], ["zoom"], 11, 1, 14, 2, 16, 4, 18, 8];
const STREET_WIDTH = ["interpolate", ["exponential", 1.6], ["zoom"], 11, 2, 14, 8, 16, 18, 18, 44];

export const LAYERS = { cells: ["cells", "cells-unknown", "cells-line", "cells-mark"], sensors: ["sensors"], alerts: [] };

const byLevel = () => ["match", ["get", "level"], ...ALL.slice(0, 4).flatMap((level) => [level, colourOf(level)]), colourOf("unknown")];
const themed = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The hexagons' middles, where their numerals stand: for levels that ask for attention. */
function marks(cells) {
  const features = cells.features
    .filter(({ properties }) => properties.level !== "blue")
    .map(({ geometry, properties }) => {
      const ring = geometry.coordinates[0].slice(1);
      const middle = [0, 1].map((axis) => ring.reduce((sum, point) => sum + point[axis], 0) / ring.length);
      return { type: "Feature", geometry: { type: "Point", coordinates: middle }, properties: { level: properties.level } };
    });
  return { type: "FeatureCollection", features };
}

export class RiskMap {
  /** `on`: moved(), chosen({alert | asset | sensor | cell}) */
  constructor(element, networks, view, on) {
    this.networks = networks;
    this.on = on;
    this.data = { cells: EMPTY, pipes: EMPTY, sensors: EMPTY };
    this.hidden = new Set();
    this.network = "";
    this.markers = new Map();
    this.map = new maplibre.Map({
      container: element,
      style: { version: 8, sources: {}, layers: [] },
      center: view?.slice(0, 2) ?? [117.23, 31.82],
      zoom: view?.[2] ?? 12,
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      maxZoom: 19,
      localIdeographFontFamily: "'Noto Sans SC', 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif",
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.addControl(new maplibre.NavigationControl({ showCompass: false }), "bottom-right");
    this.map.addControl(new maplibre.ScaleControl({ maxWidth: 120 }), "bottom-right");
    this.map.on("moveend", () => this.on.moved());
    this.ready = new Promise((resolve) => this.map.once("style.load", resolve)).then(() => this.dress());
    this.map.on("click", (event) => this.clicked(event));
    this.map.on("mousemove", (event) => {
      this.map.getCanvas().style.cursor = this.under(event.point) ? "pointer" : "";
    });
  }

  /** Sources, pictures and layers in the colours of the theme; again after a change of theme. */
  dress() {
    const { map } = this;
    for (const level of ALL) this.picture(level, picture(level), { pixelRatio: 2 });
    this.picture("hatching", hatching(), { pixelRatio: 2 });
    for (const { id } of map.getStyle().layers) map.removeLayer(id);
    for (const name of ["cells", "pipes", "sensors"]) this.source(name, this.data[name]);
    this.source("marks", marks(this.data.cells));
    const add = (id, type, source, paint, layout = {}, filter = undefined) =>
      map.addLayer({ id, type, ...(source ? { source } : {}), paint, layout, ...(filter ? { filter } : {}) });
    add("ground", "background", null, { "background-color": themed("--ground") });
    add("streets", "line", "pipes", { "line-color": themed("--street"), "line-width": STREET_WIDTH }, { "line-cap": "round", "line-join": "round" });
    const weight = ["match", ["get", "level"], "red", 0.55, "orange", 0.32, "yellow", 0.13, 0.07];
    add("cells", "fill", "cells", { "fill-color": byLevel(), "fill-opacity": weight }, {}, ["!=", ["get", "level"], "unknown"]);
    add("cells-unknown", "fill", "cells", { "fill-pattern": "hatching", "fill-opacity": 0.55 }, {}, ["==", ["get", "level"], "unknown"]);
    add("cells-line", "line", "cells", { "line-color": byLevel(), "line-opacity": ["match", ["get", "level"], ["red", "orange"], 0.9, "yellow", 0.22, 0.3], "line-width": ["match", ["get", "level"], "red", 2, 1] });
    for (const network of this.networks) this.pipeLayer(network);
    add("chosen-pipe", "line", "pipes", { "line-color": themed("--chosen"), "line-width": 7, "line-opacity": 0.5 }, { "line-cap": "round" }, ["==", ["get", "id"], ""]);
    add("pipe-names", "symbol", "pipes",
      { "text-color": themed("--map-text"), "text-halo-color": themed("--ground"), "text-halo-width": 1.6 },
      { "symbol-placement": "line", "text-field": ["get", "label"], "text-size": 11.5, "text-font": ["sans-serif"], "symbol-spacing": 320, "text-padding": 12 });
    map.setLayerZoomRange("pipe-names", 15, 24);
    const loud = (red, orange, yellow, unknown) => ["match", ["get", "level"], "red", red, "orange", orange, "yellow", yellow, unknown];
    add("cells-mark", "symbol", "marks", { "icon-opacity": loud(0.95, 0.8, 0.4, 0.5) },
      { "icon-image": ["get", "level"], "icon-size": loud(0.72, 0.62, 0.42, 0.5), "icon-padding": 8, "symbol-sort-key": loud(1, 2, 3, 4) });
    add("sensors", "circle", "sensors", {
      "circle-radius": ["interpolate", ["linear"], ["zoom"], 12, 2, 15, 4, 18, 7],
      "circle-color": ["case", ["get", "silent"], themed("--ground"), themed("--sensor")],
      "circle-stroke-color": ["case", ["get", "silent"], colourOf("unknown"), themed("--ground")],
      "circle-stroke-width": ["case", ["get", "silent"], 2, 1.2],
    });
    this.filter();
    this.choose(this.chosenAsset);
  }

  picture(name, image, options) {
    if (this.map.hasImage(name)) this.map.removeImage(name);
    this.map.addImage(name, image, options);
  }

  source(name, data) {
    const source = this.map.getSource(name);
    if (source) source.setData(data);
    else this.map.addSource(name, { type: "geojson", data, tolerance: 0.2 });
  }

  pipeLayer(network) {
    const paint = { "line-color": byLevel(), "line-width": PIPE_WIDTH, "line-opacity": ["match", ["get", "level"], "unknown", 0.65, 1] };
    if (DASHES[network]) paint["line-dasharray"] = DASHES[network];
    const layout = { "line-cap": network === "drainage" ? "round" : "butt", "line-join": "round" };
    this.map.addLayer({ id: `pipes-${network}`, type: "line", source: "pipes", filter: ["==", ["get", "network"], network], paint, layout });
  }

  async show(name, data) {
    await this.ready;
    if (name === "pipes") for (const { properties } of data.features) properties.label = place(properties.name);
    this.data[name] = data;
    this.source(name, data);
    if (name === "cells") this.source("marks", marks(data));
  }

  /** Which layers are off, and which network alone is shown. */
  filter(hidden = this.hidden, network = this.network) {
    this.hidden = hidden;
    this.network = network;
    const visible = (id, on) => this.map.getLayer(id) && this.map.setLayoutProperty(id, "visibility", on ? "visible" : "none");
    for (const [name, ids] of Object.entries(LAYERS)) for (const id of ids) visible(id, !hidden.has(name));
    for (const each of this.networks) visible(`pipes-${each}`, !hidden.has(each) && (!network || network === each));
    if (this.map.getLayer("sensors")) this.map.setFilter("sensors", network ? ["==", ["get", "network"], network] : null);
    document.body.classList.toggle("alerts-off", hidden.has("alerts"));
  }

  /** One symbol an alert, worst on top; those that nobody has acknowledged pulse. */
  async alerts(items, label) {
    await this.ready;
    const shown = items.filter((each) => each.longitude !== null).slice(0, MOST_MARKERS);
    const kept = new Set();
    shown.forEach((alert, rank) => {
      const id = `${alert.id}:${alert.level}:${alert.state}`;
      kept.add(id);
      if (!this.markers.has(id)) this.markers.set(id, this.marker(alert));
      const element = this.markers.get(id).getElement();
      element.style.zIndex = String(1000 - rank);
      element.setAttribute("aria-label", label(alert));
      element.title = label(alert);
    });
    for (const [id, marker] of this.markers) {
      if (kept.has(id)) continue;
      marker.remove();
      this.markers.delete(id);
    }
  }

  marker(alert) {
    const element = document.createElement("button");
    element.type = "button";
    element.className = `alert-mark ${alert.level} ${alert.kind} ${alert.state === "UNACK" ? "new" : ""}`;
    element.dataset.alert = alert.id;
    element.append(badge(alert.level, alert.level === "red" ? 32 : 26));
    element.addEventListener("click", (event) => {
      event.stopPropagation();
      this.on.chosen({ alert: String(alert.id) });
    });
    return new maplibre.Marker({ element }).setLngLat([alert.longitude, alert.latitude]).addTo(this.map);
  }

  under(point) {
    const near = [[point.x - 5, point.y - 5], [point.x + 5, point.y + 5]];
    const ids = ["sensors", ...this.networks.map((network) => `pipes-${network}`), "cells", "cells-unknown"];
    const present = ids.filter((id) => this.map.getLayer(id));
    const found = this.map.queryRenderedFeatures(near, { layers: present });
    return present.map((id) => found.find((feature) => feature.layer.id === id)).find(Boolean);
  }

  clicked(event) {
    const found = this.under(event.point);
    if (!found) return this.on.chosen(null);
    const { id, asset, cell } = found.properties;
    if (found.source === "sensors") return this.on.chosen({ asset: asset || "", sensor: String(id) });
    return this.on.chosen(found.source === "pipes" ? { asset: id } : { cell });
  }

  choose(asset) {
    this.chosenAsset = asset || "";
    if (this.map.getLayer("chosen-pipe")) this.map.setFilter("chosen-pipe", ["==", ["get", "id"], this.chosenAsset]);
  }

  goTo(longitude, latitude) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.map.resize(); // the panel beside it may just have opened
    this.map.easeTo({ center: [longitude, latitude], zoom: Math.max(this.map.getZoom(), 15.5), duration: calm ? 0 : 700 });
  }

  fit(box) {
    this.map.fitBounds([[box[0], box[1]], [box[2], box[3]]], { padding: 48, duration: 0, maxZoom: 16 });
  }

  get view() {
    const { lng, lat } = this.map.getCenter();
    return [lng.toFixed(5), lat.toFixed(5), this.map.getZoom().toFixed(2)].join(",");
  }

  /** What is on the screen and a little around it, on a grid, so that a small move asks for nothing new. */
  get box() {
    const bounds = this.map.getBounds();
    const step = 360 / 2 ** Math.floor(this.map.getZoom() + 1);
    const snap = (value, round) => round(value / step) * step;
    return [
      Math.max(-180, snap(bounds.getWest() - step / 4, Math.floor)),
      Math.max(-90, snap(bounds.getSouth() - step / 4, Math.floor)),
      Math.min(180, snap(bounds.getEast() + step / 4, Math.ceil)),
      Math.min(90, snap(bounds.getNorth() + step / 4, Math.ceil)),
    ].map((side) => side.toFixed(5)).join(",");
  }

  get resolution() {
    const zoom = this.map.getZoom();
    return zoom < 12 ? 8 : zoom < 14.2 ? 9 : 10;
  }
}

export function extent(collection) {
  const box = [180, 90, -180, -90];
  const take = (point) => {
    if (typeof point[0] !== "number") return point.forEach(take);
    box[0] = Math.min(box[0], point[0]);
    box[1] = Math.min(box[1], point[1]);
    box[2] = Math.max(box[2], point[0]);
    box[3] = Math.max(box[3], point[1]);
  };
  for (const { geometry } of collection.features) take(geometry.coordinates);
  return box[0] <= box[2] ? box : null;
}

export const layerNames = (networks) => ["cells", ...networks, "sensors", "alerts"].map((name) => [name, t(name)]);
