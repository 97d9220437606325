// The past as a film: the levels of cells and pipes at each step of a span, asked for once; playing asks for nothing more.

import { get } from "./api.js";
import { now } from "./city.js";
import { EMPTY } from "./mapstyle.js";

const FRAMES = 120;
/** The worst pipes of a past moment. */
export const PIPES_THEN = { limit: 5000 };

const NOT_YET = Symbol("no pipes drawn yet");

/** What one may not ask for, as who has a part of the city may not ask for the pipes of all: null. @param {Promise<any>} answer */
export const unlessRefused = (answer) => answer.catch((error) => (error.status === 403 ? null : Promise.reject(error)));

/** Pipes of which nobody knows. @param {any} pipes a collection */
export const unknown = (pipes) => ({ ...pipes, features: pipes.features.map((each) => ({ ...each, properties: { ...each.properties, level: "unknown" } })) });

/** What is known at each frame by name, from what changed in it; the same Map as before where nothing did. */
function unrolled(frames, part) {
  let known = new Map();
  return frames.map((frame) => {
    if (frame[part].length) known = new Map(known);
    for (const [name, level, score] of frame[part]) known.set(name, { level, score });
    return known;
  });
}

export class Film {
  /** @param {any[]} frames {at, recorded, cells, pipes}: by name, {level, score} @param {any} shapes cells and pipes as GeoJSON @param {string} of what: span and resolution */
  constructor(frames, shapes, of) {
    this.frames = frames;
    this.shapes = shapes;
    this.of = of;
    this.forget();
  }

  /** Something else was drawn. Else pipes are drawn where they changed alone: a city has many, and few change in a step. */
  forget() {
    this.pipesShown = NOT_YET;
  }

  /** @param {number} seconds back from now @param {number} resolution of cells @param {string} of */
  static async load(seconds, resolution, of) {
    const to = new Date(now() - 2000);
    const { first } = await get("/risk/span");
    const from = new Date(Math.max(to.getTime() - seconds * 1000, first ? Date.parse(first) + 1000 : 0));
    const period = { from: from.toISOString(), to: to.toISOString(), step_s: Math.max(1, (to.getTime() - from.getTime()) / 1000 / FRAMES) };
    const [cells, pipes, hexagons, lines] = await Promise.all([
      get("/risk/frames", { ...period, resolution }), unlessRefused(get("/risk/frames/segments", { ...period, limit: PIPES_THEN.limit })),
      get("/risk/cells", { resolution }), get("/risk/segments", { at: period.from, ...PIPES_THEN }),
    ]);
    const [ofCells, ofPipes] = [unrolled(cells.frames, "cells"), pipes ? unrolled(pipes.frames, "segments") : []];
    const frames = cells.frames.map(({ at, recorded }, number) => ({ at: Date.parse(at), recorded, cells: ofCells[number], pipes: ofPipes[number] }));
    return new Film(frames, { cells: hexagons, pipes: pipes ? lines : unknown(lines) }, of);
  }

  /** Draw the frame of a moment. @param {any} map @param {number} at milliseconds */
  async show(map, at) {
    const frame = this.frames.findLast((each) => each.at <= at) ?? this.frames[0];
    const then = (each, known) => known && { ...each, properties: { ...each.properties, ...known } };
    const cells = frame.recorded ? this.shapes.cells.features.map((each) => then(each, frame.cells.get(each.properties.cell))).filter((each) => each?.properties.level) : [];
    await map.show("cells", { ...EMPTY, features: cells });
    const pipes = frame.recorded ? frame.pipes : null;
    if (pipes === this.pipesShown) return;
    this.pipesShown = pipes;
    const lines = this.shapes.pipes.features.map((each) => then(each, pipes?.get(each.properties.id)) ?? each);
    const shown = { ...EMPTY, features: lines.filter((each) => each.properties.level) };
    await map.show("pipes", frame.recorded ? shown : unknown(shown));
  }
}
