import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../src/", import.meta.url));

/** Who may import whom, beside errors: the layers of the project, lowest first. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  random: [],
  formats: [],
  data: ["random"],
  sources: ["data", "formats"],
  diffusion: ["random"],
  tensor: ["random"],
  onnx: ["tensor"],
  runtime: ["tensor", "onnx"],
  nn: ["tensor", "random"],
  models: ["tensor", "nn", "define", "tasks", "diffusion"], // a network knows neither blocks nor training: held below
  optim: ["tensor"],
  run: ["formats", "train"],
  eval: ["onnx", "random", "runtime"],
  report: [],
  train: ["tensor", "onnx", "random", "nn", "optim", "runtime"],
  inference: ["tensor", "random", "nn", "diffusion", "data", "runtime", "train"],
  blocks: ["tensor", "random", "nn", "diffusion", "train", "inference"],
  exchange: ["data", "define", "diffusion", "formats", "inference", "nn", "onnx", "random", "runtime", "tensor", "train"],
  baselines: ["tensor", "random", "nn", "train", "inference"], // never blocks, and blocks never baselines
  measure: ["tensor", "onnx", "nn", "optim", "random", "runtime", "train"],
  verify: ["inference", "tensor", "onnx", "random", "nn", "models", "diffusion", "runtime", "train", "blocks", "run", "formats"],
  define: ["nn", "optim", "train", "data", "diffusion", "inference", "report", "runtime"],
  tasks: ["define", "data", "diffusion", "eval", "random", "report", "train", "blocks", "inference"],
  methods: ["define", "blocks", "baselines", "data", "diffusion", "random"],
  registry: ["define", "models", "methods"],
  cluster: [],
  runs: [
    "cluster",
    "data",
    "define",
    "diffusion",
    "eval",
    "exchange",
    "formats",
    "inference",
    "random",
    "registry",
    "report",
    "run",
    "runtime",
    "sources",
    "tasks",
    "train",
  ],
  studies: [
    "cluster",
    "data",
    "define",
    "diffusion",
    "measure",
    "models",
    "nn",
    "onnx",
    "report",
    "run",
    "runs",
    "runtime",
    "tasks",
    "tensor",
    "train",
  ],
  studio: ["define", "registry", "run", "runs", "train"],
  index: [
    "baselines",
    "blocks",
    "data",
    "define",
    "diffusion",
    "eval",
    "exchange",
    "formats",
    "inference",
    "measure",
    "models",
    "nn",
    "onnx",
    "optim",
    "random",
    "registry",
    "runtime",
    "tasks",
    "tensor",
    "train",
  ],
  node: ["cluster", "formats", "measure", "report", "run", "runs", "runtime", "sources", "studies", "studio", "verify"],
  cli: ["index", "node"], // the command line is a user of the package's doors
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

/** Names that a file imports or exports as values; a module of types alone is not there when the program runs. */
function valuesImportedBy(file: string): string[] {
  const statements = readFileSync(join(root, file), "utf8").matchAll(
    /^(?:import|export)\s+(?!type\b)(?:([^;"]*?)\s+from\s+)?"([^"]+)"|import\("([^"]+)"\)/gms,
  );
  return [...statements]
    .filter(([, names]) => !/^\{(?:\s*type\s+[^,}]+,?)+\s*\}$/.test(names ?? ""))
    .map(([, , path, dynamic]) => path ?? dynamic!);
}

test("the first door reaches no module of Node", () => {
  const reached = new Map<string, string>();
  const faults: string[] = [];
  const visit = (file: string, from: string): void => {
    if (reached.has(file)) return;
    reached.set(file, from);
    for (const name of valuesImportedBy(file)) {
      if (name.startsWith("node:")) faults.push(`${file} (from ${from}) imports ${name}`);
      if (name.startsWith(".")) visit(relative(root, join(root, dirname(file), name)), file);
    }
  };
  visit("index.ts", "");
  expect(reached.size).toBeGreaterThan(150);
  expect(faults).toEqual([]);
});

test("nobody may import what nobody imports: the table is as narrow as the code", () => {
  const used = new Map(Object.keys(mayImport).map((folder) => [folder, new Set<string>()]));
  for (const file of sources)
    for (const name of importsOf(file).filter((one) => one.startsWith(".")))
      used.get(folderOf(file))?.add(folderOf(relative(root, join(root, file, "..", name))));
  const unused = Object.entries(mayImport).flatMap(([folder, names]) =>
    names.filter((name) => !used.get(folder)!.has(name)).map((name) => `${folder} > ${name}`),
  );
  expect(unused).toEqual([]);
});

test("the picture of the architecture has every room", () => {
  execFileSync(process.execPath, [join(root, "../scripts/architecture.mjs"), "--check"]);
});
