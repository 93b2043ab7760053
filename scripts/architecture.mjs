// Draws docs/architecture.svg: the rooms of src/ by layer, and the ways of a batch, of sigma and of a configuration through them.
// With --check it writes nothing and exits with 1 if the picture is not what this script draws, or lacks a room.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const target = new URL("../docs/architecture.svg", import.meta.url);
const [width, left, top, rowHeight, boxHeight] = [1020, 150, 58, 74, 46];

/** Layers, highest first: a room imports rooms below it. The right column is for Node only. */
const layers = [
  { title: "users of the doors", rooms: [], node: ["cli"] },
  { title: "doors", rooms: ["index"], node: ["node"] },
  { title: "runs and studies", rooms: [], node: ["runs", "studies", "studio", "verify"] },
  { title: "all there is", rooms: ["registry"], node: [] },
  { title: "definitions", rooms: ["models", "methods", "tasks"], node: [] },
  { title: "what these are", rooms: ["define", "measure", "exchange", "report"], node: [] },
  { title: "methods", rooms: ["blocks", "baselines"], node: [] },
  { title: "trained models", rooms: ["inference", "eval"], node: ["run", "sources"] },
  { title: "training", rooms: ["train", "data"], node: ["cluster"] },
  { title: "networks, noise", rooms: ["nn", "diffusion", "optim"], node: [] },
  { title: "graph and engine", rooms: ["tensor", "onnx", "runtime", "random", "formats"], node: [] },
];
/** Ways through the rooms, in order. */
const ways = [
  { title: "a batch", colour: "#1f77b4", rooms: ["sources", "data", "tasks", "train", "runtime"], shift: -9 },
  { title: "sigma", colour: "#d62728", rooms: ["diffusion", "blocks", "nn", "inference"], shift: 0 },
  { title: "a configuration", colour: "#2ca02c", rooms: ["cli", "define", "methods", "blocks"], shift: 9 },
];

const places = new Map();
const nodeLeft = 690;
for (const [row, { rooms, node }] of layers.entries()) {
  const place = (names, from, to) => {
    const step = (to - from) / names.length;
    for (const [i, name] of names.entries())
      places.set(name, { x: from + i * step + 6, y: top + row * rowHeight, width: Math.min(step, 190) - 12 });
  };
  place(rooms, left, nodeLeft - 20);
  place(node, nodeLeft, width - 10);
}

const folders = readdirSync(new URL("../src/", import.meta.url), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);
const missing = folders.filter((name) => !places.has(name));
const gone = [...places.keys()].filter((name) => !folders.includes(name) && !["index", "node"].includes(name));
if (missing.length + gone.length > 0) {
  console.error(
    `scripts/architecture.mjs: the picture lacks ${missing.join(", ") || "nothing"} and has ${gone.join(", ") || "nothing"} too many.`,
  );
  process.exit(1);
}

const height = top + layers.length * rowHeight + 80;
const text = (x, y, content, attributes = "") => `<text x="${x}" y="${y}" ${attributes}>${content}</text>`;
const parts = [
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="15">`,
  `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
  `<rect x="${nodeLeft - 8}" y="${top - 28}" width="${width - nodeLeft + 2}" height="${layers.length * rowHeight + 20}" rx="8" fill="#f4f1ea"/>`,
  text(left + 6, top - 42, "runs anywhere: Node, browser, worker", 'font-size="14" fill="#555"'),
  text(nodeLeft + 6, top - 42, "Node only", 'font-size="14" fill="#555"'),
];
for (const [row, { title }] of layers.entries()) {
  const y = top + row * rowHeight;
  parts.push(text(12, y + 28, title, 'font-size="13" fill="#777"'));
  if (row > 0) parts.push(`<line x1="12" y1="${y - 14}" x2="${width - 12}" y2="${y - 14}" stroke="#dddddd"/>`);
}
for (const { colour, rooms, shift } of ways) {
  const points = rooms.map((name) => {
    const { x, y, width: own } = places.get(name);
    return `${Math.round(x + own / 2 + shift)},${y + boxHeight / 2 + shift}`;
  });
  parts.push(`<polyline points="${points.join(" ")}" fill="none" stroke="${colour}" stroke-width="2.5" stroke-opacity="0.5"/>`);
}
for (const [name, { x, y, width: own }] of places) {
  const label = name === "index" ? "diffusion-blocks" : name === "node" ? "diffusion-blocks/node" : `${name}/`;
  parts.push(
    `<rect x="${x}" y="${y}" width="${own}" height="${boxHeight}" rx="6" fill="#ffffff" stroke="#444444"/>`,
    text(x + own / 2, y + 28, label, `text-anchor="middle"${label.length > 16 ? ' font-size="13"' : ""}`),
  );
}
// Each way's stations are numbered, at the lower edge of the rooms, and named below.
for (const [i, { title, colour, rooms }] of ways.entries()) {
  const badge = (x, y, number) => {
    parts.push(
      `<circle cx="${x}" cy="${y}" r="9" fill="${colour}"/>`,
      text(x, y + 4, number, 'text-anchor="middle" font-size="11" fill="#ffffff"'),
    );
  };
  for (const [station, name] of rooms.entries()) {
    const { x, y } = places.get(name);
    badge(Math.round(x + 16 + 22 * i), y + boxHeight, station + 1);
  }
  const y = top + layers.length * rowHeight + 14 + 22 * i;
  badge(24, y, "1");
  parts.push(text(42, y + 5, `the way of ${title}: ${rooms.join(" → ")}`, 'font-size="14" fill="#333"'));
}
parts.push("</svg>", "");
const picture = parts.join("\n");
if (!process.argv.includes("--check")) writeFileSync(target, picture);
else if (readFileSync(target, "utf8") !== picture) {
  console.error("docs/architecture.svg is not what scripts/architecture.mjs draws. Run: node scripts/architecture.mjs");
  process.exitCode = 1;
}
