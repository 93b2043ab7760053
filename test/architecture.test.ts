import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../src/", import.meta.url));

/** Who may import whom, beside errors: the layers of the project, lowest first. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  random: [],
  formats: [],
  data: ["random", "formats"],
  diffusion: ["random"],
  tensor: ["random"],
  onnx: ["tensor"],
  runtime: ["tensor", "onnx"],
  nn: ["tensor", "random"],
  models: ["tensor", "nn"], // a model knows neither diffusion nor blocks
  optim: ["tensor"],
  run: ["formats"],
  eval: ["onnx", "runtime"],
  report: [],
  train: ["tensor", "onnx", "random", "nn", "optim", "runtime", "run", "formats"],
  blocks: ["tensor", "random", "nn", "diffusion", "train"],
  baselines: ["tensor", "random", "nn", "diffusion", "train"], // never blocks, and blocks never baselines
  measure: ["tensor", "onnx", "random", "nn", "optim", "runtime", "train", "baselines"],
  verify: ["tensor", "onnx", "random", "nn", "models", "diffusion", "runtime", "train", "blocks", "run", "formats"],
  experiments: [
    "tensor",
    "onnx",
    "random",
    "nn",
    "models",
    "optim",
    "diffusion",
    "runtime",
    "train",
    "blocks",
    "baselines",
    "data",
    "run",
    "report",
    "formats",
    "measure",
    "eval",
    "cluster",
  ],
  cluster: [],
  index: [
    "baselines",
    "blocks",
    "diffusion",
    "eval",
    "experiments",
    "measure",
    "nn",
    "onnx",
    "optim",
    "random",
    "run",
    "runtime",
    "tensor",
    "train",
    "verify",
  ],
  cli: ["cluster", "diffusion", "experiments", "formats", "measure", "report", "run", "runtime", "verify"],
};

const sources = readdirSync(root, { recursive: true, encoding: "utf8" }).filter(
  (file) => file.endsWith(".ts") && !file.endsWith(".test.ts") && !file.endsWith(".d.ts"),
);

function folderOf(path: string): string {
  return path.split("/")[0]!.replace(/\.ts$/, "");
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), "utf8");
  return [...text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map((match) => match[1]!);
}

test.each(sources)("%s imports only the layers below it", (file) => {
  const folder = folderOf(file);
  const allowed = ["errors", folder, ...(mayImport[folder] ?? [])];
  expect(Object.keys(mayImport)).toContain(folder);
  const folders = importsOf(file)
    .filter((name) => name.startsWith("."))
    .map((name) => folderOf(relative(root, join(root, file, "..", name))));
  expect(folders.filter((name) => !allowed.includes(name))).toEqual([]);
});

test("only src/runtime imports ONNX Runtime", () => {
  const outside = sources.filter(
    (file) => folderOf(file) !== "runtime" && importsOf(file).some((name) => name.startsWith("onnxruntime") || name === "#ort"),
  );
  expect(outside).toEqual([]);
});
