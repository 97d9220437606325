// The map: cells, pipes, sensors, zones, incidents and alerts by level. Without a base map the pipes suggest the streets.

import * as maplibre from "/vendor/maplibre/maplibre-gl.mjs";
import { button, element, write } from "./element.js";
import { place, t } from "./i18n.js";
import { badge } from "./levels.js";
import { CHANGED, EMPTY, LAYERS, SOURCES, dressLayers, dressPictures, enliven, marksOf, scale } from "./mapstyle.js";

maplibre.setWorkerUrl("/vendor/maplibre/maplibre-gl-worker.mjs");

const MOST_MARKERS = 150;
const NAMED = ["pipes", "zones"]; // whose features have a name on the map
const TOLD_AGAIN = ["sensors", "traces", "members", "others"]; // which come without an ETag, mostly as they were
/** Whether there is nothing to draw: MapLibre draws the whole map for whatever it is given. */
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
/** Room at the edges of what is to be in sight: the cards lie on the map, and no incident may lie below one where there is room beside it. */
function fitting(width) {
  const by = scale();
  const beside = { top: 24, left: 216 * by, right: 196 * by, bottom: 84 * by };
  const narrow = { top: 56, left: 24, right: 48, bottom: 84 }; // where the cards are folded
  return { padding: width > 900 ? beside : width > 500 ? { ...narrow, left: 172 } : 48, duration: 0, maxZoom: 16 };
}

export class RiskMap {
  /**
   * @param {HTMLElement} container @param {string[]} networks @param {number[] | {box: number[] | null}} view longitude, latitude, zoom; or a box that is all in sight
   * @param {{moved: () => void, chosen: (found: any) => void, base?: {tiles: string, attribution: string} | null}} on
   */
  constructor(container, networks, view, on) {
    this.networks = networks;
    this.on = on;
    this.data = Object.fromEntries(SOURCES.map((name) => [name, EMPTY]));
    this.hidden = new Set();
    this.network = "";
    this.picked = [];
    this.markers = new Map();
    this.handles = [];
    this.map = new maplibre.Map({
      container,
      style: { version: 8, sources: {}, layers: [] },
      ...(view.box ? { bounds: view.box, fitBoundsOptions: fitting(container.clientWidth) } : { center: view.slice?.(0, 2) ?? [117.23, 31.82], zoom: view[2] ?? 12 }),
      attributionControl: on.base ? { compact: true, customAttribution: on.base.attribution } : false,
      dragRotate: false,
      pitchWithRotate: false,
      maxZoom: 19,
      fadeDuration: 0,
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
    this.map.on("render", () => { delete container.dataset.drawn; });
    this.map.on("idle", () => { container.dataset.drawn = "true"; });
    this.speak();
  }

  /** What the map's own controls say, and the names on it, in the language of the page; again after a change of it. */
  speak() {
    this.map.getCanvas().setAttribute("aria-label", t("map"));
    for (const which of ["in", "out"]) {
      const control = this.map.getContainer().querySelector(`.maplibregl-ctrl-zoom-${which}`);
      for (const name of ["title", "aria-label"]) control?.setAttribute(name, t(`zoom_${which}`));
    }
    for (const name of NAMED) if (this.data[name].features.length) this.show(name, this.data[name]);
  }

  /** Sources, pictures and layers in the colours of the theme; again after a change of theme. */
  dress() {
    const { map } = this;
    dressPictures(map);
    for (const { id } of map.getStyle().layers) map.removeLayer(id);
    for (const name of SOURCES) this.source(name, this.data[name]);
    dressLayers(map, this.networks, this.on.base);
    this.filter();
    this.pick(this.picked);
  }

  source(name, data) {
    const source = this.map.getSource(name);
    if (source) source.setData(data);
    else this.map.addSource(name, { type: "geojson", data, tolerance: 0.4, buffer: 16, maxzoom: 15 });
  }

  /** @param {string} name of SOURCES @param {any} data GeoJSON */
  async show(name, data) {
    await this.ready;
    if (NAMED.includes(name)) for (const { properties } of data.features) properties.label = place(properties.name);
    if (name === "cells") enliven(data);
    if (TOLD_AGAIN.includes(name) && same(data, this.data[name])) return;
    this.data[name] = data;
    this.source(name, data);
    if (name !== "cells") return;
    this.data.marks = marksOf(data);
    this.source("marks", this.data.marks);
  }

  /** Which layers are off, and which network alone is shown. */
  filter(hidden = this.hidden, network = this.network) {
    this.hidden = hidden;
    this.network = network;
    const visible = (id, on) => this.map.getLayer(id) && this.map.setLayoutProperty(id, "visibility", on ? "visible" : "none");
    for (const [name, ids] of Object.entries(LAYERS)) for (const id of ids) visible(id, !hidden.has(name));
    const shown = this.networks.filter((each) => !hidden.has(each) && (!network || network === each));
    for (const each of this.networks) visible(`pipes-${each}`, shown.includes(each));
    for (const [id, changed] of Object.entries(CHANGED)) if (this.map.getLayer(id)) this.map.setFilter(id, ["all", changed, ["in", ["get", "network"], ["literal", shown]]]);
    const of = network ? ["==", ["get", "network"], network] : null;
    for (const id of ["sensors", "reports"]) if (this.map.getLayer(id)) this.map.setFilter(id, of);
    document.body.classList.toggle("alerts-off", hidden.has("alerts"));
  }

  /** One mark an incident, worst on top; those that nobody has acknowledged pulse. */
  async marks(things, kindOf, label) {
    await this.ready;
    const placed = things.filter((each) => typeof each.longitude === "number");
    const shown = placed.slice(0, MOST_MARKERS);
    this.others(placed.slice(MOST_MARKERS), kindOf);
    const kept = new Set();
    shown.forEach((thing, rank) => {
      const kind = kindOf(thing);
      const fresh = (thing.unacknowledged ?? Number(thing.state === "UNACK")) > 0;
      const id = `${kind}:${thing.id}:${thing.level}:${fresh}`;
      kept.add(id);
      if (!this.markers.has(id)) this.markers.set(id, this.marker(thing, kind, fresh));
      const marker = this.markers.get(id);
      const { lng, lat } = marker.getLngLat();
      if (lng !== thing.longitude || lat !== thing.latitude) marker.setLngLat([thing.longitude, thing.latitude]);
      const made = marker.getElement();
      write(made.style, "zIndex", String(1000 - rank));
      const said = label(thing);
      if (made.title === said) return;
      made.title = said;
      made.setAttribute("aria-label", said);
    });
    for (const [id, marker] of this.markers) {
      if (kept.has(id)) continue;
      marker.remove();
      this.markers.delete(id);
    }
    this.beat();
  }

  /** Marks pulse together: each in a time of its own, many would have the browser draw all the time. */
  beat() {
    const pulses = this.map.getCanvasContainer().getAnimations({ subtree: true });
    const begun = pulses.find((each) => each.startTime !== null)?.startTime; // those that are made at once begin at once
    if (begun !== undefined) for (const each of pulses) if (each.startTime !== begun) each.startTime = begun;
  }

  /** The less bad of very many, drawn by the map itself: a browser moves some hundreds of elements slowly. */
  others(things, kindOf) {
    if (!things.length && !this.data.others.features.length) return;
    const features = things.map((each) => ({ type: "Feature", geometry: { type: "Point", coordinates: [each.longitude, each.latitude] }, properties: { kind: kindOf(each), id: each.id, level: each.level } }));
    this.show("others", { type: "FeatureCollection", features });
  }

  marker(thing, kind, fresh) {
    const made = button({ class: `alert-mark ${thing.level} ${fresh ? "new" : ""}`, "data-kind": kind, "data-id": thing.id }, badge(thing.level, thing.level === "red" ? 32 : 26));
    made.addEventListener("click", (event) => {
      event.stopPropagation();
      this.on.chosen({ [kind]: String(thing.id) });
    });
    return new maplibre.Marker({ element: made }).setLngLat([thing.longitude, thing.latitude]).addTo(this.map);
  }

  /** The alerts of the chosen incident. @param {any[]} alerts */
  members(alerts) {
    const features = alerts.filter((each) => typeof each.longitude === "number" && !each.closed_at).map((each) => ({ type: "Feature", geometry: { type: "Point", coordinates: [each.longitude, each.latitude] }, properties: { alert: each.id, level: each.level } }));
    return this.show("members", { type: "FeatureCollection", features });
  }

  /**
   * Corners of a polygon that can be dragged; null takes them away. A corner of a ring is its first and its last point.
   * @param {any} geometry @param {(moved: any) => void} [changed] with the whole geometry after each move
   */
  corners(geometry, changed) {
    for (const each of this.handles) each.remove();
    this.handles = [];
    if (!geometry) return;
    const moved = structuredClone(geometry);
    const rings = moved.type === "Polygon" ? moved.coordinates : moved.coordinates.flat();
    for (const ring of rings) {
      for (let at = 1; at < ring.length; at += 1) {
        const handle = new maplibre.Marker({ element: element("i", { class: "corner" }), draggable: true }).setLngLat(ring[at]).addTo(this.map);
        handle.on("dragend", () => {
          ring[at] = handle.getLngLat().toArray();
          if (at === ring.length - 1) ring[0] = ring[at];
          changed(moved);
        });
        this.handles.push(handle);
      }
    }
  }

  under(point) {
    const near = [[point.x - 5, point.y - 5], [point.x + 5, point.y + 5]];
    const ids = ["others", "members", "reports", "sensors", "works", ...this.networks.map((network) => `pipes-${network}`), "cells", "cells-unknown"];
    const present = ids.filter((id) => this.map.getLayer(id));
    if (!present.length) return null;
    const found = this.map.queryRenderedFeatures(near, { layers: present });
    return present.map((id) => found.find((feature) => feature.layer.id === id)).find(Boolean);
  }

  clicked(event) {
    const found = this.under(event.point);
    if (!found) return this.on.chosen(null);
    const { id, asset, cell, alert, kind } = found.properties;
    if (found.source === "others") return this.on.chosen({ [kind]: String(id) });
    if (found.source === "members") return this.on.chosen({ alert: String(alert) });
    if (found.source === "reports") return this.on.chosen({ report: String(id) });
    if (found.source === "sensors") return this.on.chosen({ asset: asset || "", sensor: String(id) });
    if (found.source === "works") return this.on.chosen({ work: found.properties });
    return this.on.chosen(found.source === "pipes" ? { asset: id } : { cell });
  }

  /** Pipes that are held up to the eye. @param {string[]} ids */
  pick(ids) {
    this.picked = ids.filter(Boolean);
    const wanted = ["in", ["get", "id"], ["literal", this.picked]];
    if (this.map.getLayer("chosen-pipe") && !same(this.map.getFilter("chosen-pipe"), wanted)) this.map.setFilter("chosen-pipe", wanted);
  }

  goTo(longitude, latitude) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.fill(); // the panel beside it may just have opened
    this.map.easeTo({ center: [longitude, latitude], zoom: Math.max(this.map.getZoom(), 15.5), duration: calm ? 0 : 700 });
  }

  /** Take the room that there is now, if it is another. */
  fill() {
    const { clientWidth: width, clientHeight: height } = this.map.getContainer();
    const canvas = this.map.getCanvas();
    if (canvas.clientWidth !== width || canvas.clientHeight !== height) this.map.resize();
  }

  fit(box) {
    this.map.fitBounds([[box[0], box[1]], [box[2], box[3]]], fitting(this.map.getContainer().clientWidth));
  }

  get zoom() {
    return this.map.getZoom();
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

/** West, south, east, north of what a collection holds; null where it holds nothing. @param {any} collection */
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
