// How the map looks: its sources, pictures and layers in the colours of the theme.

import { ALL, colourOf, hatching, picture, speech } from "./levels.js";

export const EMPTY = { type: "FeatureCollection", features: [] };
/** Each source holds one thing; the order is that of drawing. */
export const SOURCES = ["zones", "suggested", "cells", "marks", "pipes", "sensors", "works", "traces", "reports", "members", "others"];

const DASHES = { gas: [3, 1.4], drainage: [0.6, 1.2] }; // water and any further network: a full line
const PIPE_WIDTH = ["interpolate", ["exponential", 1.6], ["zoom"], 11, 0.8, 14, 1.8, 16, 4, 18, 8];
const PIPE_GAP = ["interpolate", ["exponential", 1.6], ["zoom"], 11, 4, 14, 6, 16, 10, 18, 18]; // inside the two lines beside a pipe that changed
const STREET_WIDTH = ["interpolate", ["exponential", 1.6], ["zoom"], 11, 1.5, 14, 7, 16, 18, 18, 44];

/** The layers of pipes that changed between two moments, and what each shows. */
export const CHANGED = { "pipes-worse": [">", ["coalesce", ["get", "change"], 0], 0], "pipes-better": ["<", ["coalesce", ["get", "change"], 0], 0] };

/** Layers that are switched together. */
export const LAYERS = {
  cells: ["cells", "cells-unknown", "cells-line", "cells-mark", "cells-worse", "cells-better"],
  sensors: ["sensors"],
  zones: ["zones", "zones-name"],
  alerts: ["members", "others"],
  reports: ["reports"],
};

export const themed = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** How much larger words and marks are on a wall display. */
export const scale = () => Number(themed("--scale")) || 1;
/** An interpolation by zoom with each of its values that much larger. */
const larger = (by, expression) => expression.map((each, at) => (at > 2 && at % 2 === 0 ? (typeof each === "number" ? each * by : ["*", by, each]) : each));

const byLevel = () => ["match", ["get", "level"], ...ALL.slice(0, 4).flatMap((level) => [level, colourOf(level)]), colourOf("unknown")];
const graded = (red, orange, yellow, blue, unknown) => ["match", ["get", "level"], "red", red, "orange", orange, "yellow", yellow, "blue", blue, unknown];

/** Marks the cells in which something is going on: standing risk is a quiet tint, what happens now is loud. */
export function enliven(cells) {
  for (const { properties } of cells.features) properties.lively = Object.values(properties.alerts ?? {}).some(Boolean);
  return cells;
}

const lively = (now, standing) => ["case", ["boolean", ["get", "lively"], false], now, standing];

/** The hexagons' middles, where their numerals stand: for levels that ask for attention. */
export function marksOf(cells) {
  const features = cells.features
    .filter(({ properties }) => ["red", "orange", "yellow"].includes(properties.level))
    .map(({ geometry, properties }) => {
      const ring = geometry.coordinates[0].slice(1);
      const middle = [0, 1].map((axis) => ring.reduce((sum, point) => sum + point[axis], 0) / ring.length);
      return { type: "Feature", geometry: { type: "Point", coordinates: middle }, properties: { level: properties.level, lively: properties.lively } };
    });
  return { type: "FeatureCollection", features };
}

/** Pictures that layers name: again after a change of theme. */
export function dressPictures(map) {
  const put = (name, image, options) => {
    if (map.hasImage(name)) map.removeImage(name);
    map.addImage(name, image, options);
  };
  for (const level of ALL) put(level, picture(level), { pixelRatio: 2 });
  put("hatching", hatching(), { pixelRatio: 2 });
  put("report", speech(themed("--report"), themed("--ground")), { pixelRatio: 2 });
}

/**
 * Every layer, from the ground up. @param {any} map of MapLibre @param {string[]} networks @param {{tiles: string, attribution: string} | null} base
 */
export function dressLayers(map, networks, base) {
  const by = scale();
  const add = (id, type, source, paint, layout = {}, filter = undefined) => map.addLayer({ id, type, ...(source ? { source } : {}), paint, layout, ...(filter ? { filter } : {}) });
  add("ground", "background", null, { "background-color": themed("--ground") });
  if (base) {
    if (!map.getSource("base")) map.addSource("base", { type: "raster", tiles: [base.tiles], tileSize: 256, attribution: base.attribution });
    add("base", "raster", "base", { "raster-opacity": 0.55, "raster-saturation": -0.6 });
  }
  add("streets", "line", "pipes", { "line-color": themed("--street"), "line-width": larger(by, STREET_WIDTH), "line-opacity": base ? 0 : 1 }, { "line-cap": "round", "line-join": "round" });
  add("cells", "fill", "cells", { "fill-color": byLevel(), "fill-opacity": lively(graded(0.5, 0.42, 0.3, 0.2, 0), graded(0.26, 0.14, 0.07, 0.05, 0)) }, {}, ["!=", ["get", "level"], "unknown"]);
  add("cells-unknown", "fill", "cells", { "fill-pattern": "hatching", "fill-opacity": 0.5 }, {}, ["==", ["get", "level"], "unknown"]);
  add("cells-line", "line", "cells", { "line-color": byLevel(), "line-opacity": lively(graded(1, 1, 0.9, 0.7, 0.5), graded(0.6, 0.3, 0.14, 0.14, 0.3)), "line-width": lively(2.2, 1) });
  add("cells-worse", "line", "cells", { "line-color": themed("--text"), "line-width": 3 }, {}, [">", ["coalesce", ["get", "change"], 0], 0]);
  add("cells-better", "line", "cells", { "line-color": themed("--good"), "line-width": 3, "line-dasharray": [2, 1.4] }, {}, ["<", ["coalesce", ["get", "change"], 0], 0]);
  add("zones", "line", "zones", { "line-color": themed("--zone"), "line-width": 1.6, "line-dasharray": [4, 2], "line-opacity": 0.8 });
  for (const network of networks) pipeLayer(map, network, by);
  add("pipes-worse", "line", "pipes", { "line-color": themed("--text"), "line-width": 1.6, "line-gap-width": larger(by, PIPE_GAP) }, {}, CHANGED["pipes-worse"]);
  add("pipes-better", "line", "pipes", { "line-color": themed("--good"), "line-width": 1.6, "line-gap-width": larger(by, PIPE_GAP), "line-dasharray": [2, 1.4] }, {}, CHANGED["pipes-better"]);
  add("works", "line", "works", { "line-color": themed("--plan"), "line-width": ["interpolate", ["linear"], ["zoom"], 11, 3, 16, 9], "line-opacity": 0.85 }, { "line-cap": "round" });
  add("chosen-pipe", "line", "pipes", { "line-color": themed("--chosen"), "line-width": 8, "line-opacity": 0.55 }, { "line-cap": "round" }, ["in", ["get", "id"], ["literal", []]]);
  add("pipe-names", "symbol", "pipes",
    { "text-color": themed("--map-text"), "text-halo-color": themed("--ground"), "text-halo-width": 1.6 },
    { "symbol-placement": "line", "text-field": ["get", "label"], "text-size": 11.5 * by, "text-font": ["sans-serif"], "symbol-spacing": 320, "text-padding": 12 });
  map.setLayerZoomRange("pipe-names", 14.2, 24);
  add("cells-mark", "symbol", "marks", { "icon-opacity": graded(0.95, 0.85, 0.5, 0, 0) },
    { "icon-image": ["get", "level"], "icon-size": graded(...[0.7, 0.55, 0.4, 0.4, 0.4].map((each) => each * by)), "icon-padding": 10, "symbol-sort-key": graded(1, 2, 3, 4, 5) },
    ["any", ["get", "lively"], ["all", [">=", ["zoom"], 16], ["!=", ["get", "level"], "yellow"]], [">=", ["zoom"], 17]]);
  add("sensors", "circle", "sensors", {
    "circle-radius": larger(by, ["interpolate", ["linear"], ["zoom"], 12, 1.8, 15, 3.6, 18, 7]),
    "circle-color": ["case", ["get", "silent"], themed("--ground"), themed("--sensor")],
    "circle-stroke-color": ["case", ["get", "silent"], colourOf("unknown"), themed("--ground")],
    "circle-stroke-width": ["case", ["get", "silent"], 1.8, 1.2],
  });
  add("suggested", "fill", "suggested", { "fill-color": themed("--zone"), "fill-opacity": 0.18 });
  add("suggested-line", "line", "suggested", { "line-color": themed("--zone"), "line-width": 2.4 });
  add("traces", "line", "traces", { "line-color": themed("--chosen"), "line-width": 3, "line-dasharray": [1.5, 1.2] });
  add("traces-ends", "circle", "traces", { "circle-radius": 5, "circle-color": themed("--ground"), "circle-stroke-color": themed("--chosen"), "circle-stroke-width": 2 });
  add("reports", "symbol", "reports", {}, { "icon-image": "report", "icon-allow-overlap": true, "icon-anchor": "bottom-left", "icon-size": larger(by, ["interpolate", ["linear"], ["zoom"], 11, 0.6, 15, 1]) });
  add("members", "circle", "members", { "circle-radius": 6, "circle-color": byLevel(), "circle-stroke-color": themed("--chosen"), "circle-stroke-width": 2 });
  add("others", "symbol", "others", {}, { "icon-image": ["get", "level"], "icon-allow-overlap": true, "icon-size": 1.1 * by, "symbol-sort-key": graded(5, 4, 3, 2, 1) });
  add("zones-name", "symbol", "zones", { "text-color": themed("--zone"), "text-halo-color": themed("--ground"), "text-halo-width": 1.6 }, { "text-field": ["get", "label"], "text-size": 12 * by, "text-font": ["sans-serif"] });
}

function pipeLayer(map, network, by) {
  const width = larger(by, PIPE_WIDTH).map((each, at) => (at >= 4 && at % 2 === 0 ? ["*", each, graded(1.9, 1.4, 1, 0.8, 0.8)] : each));
  const paint = { "line-color": byLevel(), "line-width": width, "line-opacity": graded(1, 0.95, 0.6, 0.5, 0.5) };
  if (DASHES[network]) paint["line-dasharray"] = DASHES[network];
  map.addLayer({ id: `pipes-${network}`, type: "line", source: "pipes", filter: ["==", ["get", "network"], network], paint, layout: { "line-cap": network === "drainage" ? "round" : "butt", "line-join": "round", "line-sort-key": graded(5, 4, 3, 2, 1) } });
}
