// The four levels and unknown: numeral, shape and colour, alike in the list, the legend and on the map.

export const LEVELS = ["red", "orange", "yellow", "blue"];
export const ALL = [...LEVELS, "unknown"];
export const NUMERAL = { red: "I", orange: "II", yellow: "III", blue: "IV", unknown: "?" };

// In a box of 24 x 24.
const SHAPE = {
  red: "M8 1.5h8L22.5 8v8L16 22.5H8L1.5 16V8Z",
  orange: "M12 1.8 23 21.6H1Z",
  yellow: "M3.5 2.5h17a1 1 0 0 1 1 1v17a1 1 0 0 1-1 1h-17a1 1 0 0 1-1-1v-17a1 1 0 0 1 1-1Z",
  blue: "M12 1.5a10.5 10.5 0 1 1 0 21 10.5 10.5 0 1 1 0-21Z",
  unknown: "M12 1.5a10.5 10.5 0 1 1 0 21 10.5 10.5 0 1 1 0-21Z",
};

const SVG = "http://www.w3.org/2000/svg";

const made = new Map();

/** The level's badge; decoration, so the text beside it must say the level too. A storm needs hundreds: they are copies. */
export function badge(level, size = 22) {
  const name = `${level} ${size}`;
  if (!made.has(name)) made.set(name, drawn(level, size));
  return made.get(name).cloneNode(true);
}

function drawn(level, size) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("width", size);
  svg.setAttribute("height", size);
  svg.setAttribute("class", `badge ${level}`);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", SHAPE[level]);
  const text = document.createElementNS(SVG, "text");
  text.setAttribute("x", "12");
  text.setAttribute("y", level === "orange" ? "18.6" : "16.2");
  text.textContent = NUMERAL[level];
  svg.append(path, text);
  return svg;
}

/** The colour of a level in the theme. @param {string} level */
export function colourOf(level) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${level}`).trim();
}

/** The numeral in its shape, as pixels for the map. */
export function picture(level, size = 44) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.scale(size / 24, size / 24);
  context.fillStyle = colourOf(level);
  context.fill(new Path2D(SHAPE[level]));
  context.fillStyle = level === "yellow" || level === "orange" ? "#1b1300" : "#fff";
  context.font = "700 11px system-ui, sans-serif";
  context.textAlign = "center";
  context.fillText(NUMERAL[level], 12, level === "orange" ? 18.8 : 16);
  return context.getImageData(0, 0, size, size);
}

/** A balloon of speech, as pixels for the map: somebody has told something. Its tip is the lower left corner. */
export function speech(fill, edge, size = 44) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.scale(size / 24, size / 24);
  context.lineWidth = 1.6;
  context.fillStyle = fill;
  context.strokeStyle = edge;
  const balloon = new Path2D("M4 3h17a1.5 1.5 0 0 1 1.5 1.5v11a1.5 1.5 0 0 1-1.5 1.5H9.5L1.5 23 4 17V4.5Z");
  context.fill(balloon);
  context.stroke(balloon);
  context.fillStyle = edge;
  for (const x of [8.5, 13, 17.5]) context.fillRect(x - 1.2, 8.8, 2.4, 2.4);
  return context.getImageData(0, 0, size, size);
}

/** Diagonal hatching: nobody knows. */
export function hatching(size = 16) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.strokeStyle = colourOf("unknown");
  context.globalAlpha = 0.75;
  context.lineWidth = 2;
  context.beginPath();
  for (const offset of [-size, 0, size]) {
    context.moveTo(offset - 2, size + 2);
    context.lineTo(offset + size + 2, -2);
  }
  context.stroke();
  return context.getImageData(0, 0, size, size);
}
