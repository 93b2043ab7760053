// The two doors: every name that they export, with its declaration and the words above it.
import { dirname, join, relative, resolve } from "node:path";
import { parsed, wordsAbove } from "./sources.mjs";

const others = "Errors and the rest";

/** Rooms in the order of the reference, each with what it is; a room that is not here comes last. */
const rooms = {
  registry: "What the package has",
  blocks: "DiffusionBlocks",
  baselines: "What it is compared with",
  train: "Training",
  inference: "Trained models",
  runs: "Runs on disk",
  studies: "Comparisons and tables",
  models: "Models",
  methods: "Methods",
  tasks: "Tasks",
  define: "Defining models, methods and tasks",
  data: "Data",
  sources: "Data from disk",
  diffusion: "Noise and the reverse process",
  nn: "Layers",
  optim: "Optimisers",
  eval: "Metrics",
  exchange: "Networks for and from other software",
  measure: "Memory and time",
  run: "Run folders",
  cluster: "Clusters",
  verify: "Proofs",
  studio: "The page",
  report: "Reports",
  formats: "File formats",
  runtime: "Devices",
  tensor: "Tensors",
  onnx: "ONNX",
  random: "Random numbers",
};

/** @returns a page for each door. */
export function apiPages(root) {
  const dist = join(root, "dist");
  return [
    { file: "index", name: "api", title: "API", door: "diffusion-blocks", words: "It runs in Node, a page and a worker." },
    {
      file: "node",
      name: "api-node",
      title: "API in Node",
      door: "diffusion-blocks/node",
      words: "It adds run folders, data from disk, processes and comparisons.",
    },
  ].map(({ file, name, title, door, words }) => {
    const exports = [...exportsOf(join(dist, `${file}.d.ts`)).values()];
    const headingOf = ({ path }) => rooms[relative(dist, path).split("/")[0]] ?? others;
    const parts = [...Object.values(rooms), others].flatMap((heading) => {
      const own = exports.filter((one) => headingOf(one) === heading);
      own.sort((a, b) => Number(a.isType) - Number(b.isType) || a.name.localeCompare(b.name));
      return own.length === 0 ? [] : [`## ${heading}\n\n${own.map(entry).join("\n\n")}`];
    });
    const values = exports.filter(({ isType }) => !isType);
    const intro = `# ${title}\n\n\`import { … } from "${door}"\`. ${words} ${values.length} functions and values, and ${exports.length - values.length} types.`;
    return { name, title, markdown: [intro, ...parts].join("\n\n") };
  });
}

function entry({ name, declaration, words }) {
  return `### ${name}\n\n${words === "" ? "" : `${words}\n\n`}\`\`\`ts\n${declaration}\n\`\`\``;
}

const cache = new Map();
const fileOf = (from, source) => resolve(dirname(from), source).replace(/(\.d)?\.(ts|js)$/, ".d.ts");

/**
 * What a file of declarations exports, by name.
 *
 * @returns name, the file that declares it, its declaration as text, the words above it, whether it is a type only.
 */
function exportsOf(path) {
  const known = cache.get(path);
  if (known !== undefined) return known;
  const found = new Map();
  cache.set(path, found);
  const { text, program, comments } = parsed(path);
  const own = new Map();
  const imported = new Map();
  for (const node of program.body) {
    if (node.type === "ImportDeclaration" && node.source.value.startsWith("."))
      for (const { local, imported: name } of node.specifiers)
        if (name !== undefined) imported.set(local.name, [fileOf(path, node.source.value), name.name]);
    const declared = node.type === "ExportNamedDeclaration" && node.declaration !== null ? node.declaration : node;
    for (const name of namesOf(declared)) {
      const one = {
        name,
        path,
        isType: /Interface|TypeAlias/.test(declared.type),
        declaration: text.slice(declared.start, declared.end).replace(/^declare /, ""),
        words: markdownAbove(text, comments, node.start),
      };
      const before = own.get(name); // an overload, or a type and a value of one name
      own.set(
        name,
        before === undefined
          ? one
          : {
              ...before,
              isType: before.isType && one.isType,
              declaration: `${before.declaration}\n${one.declaration}`,
              words: before.words || one.words,
            },
      );
      if (declared !== node) found.set(name, own.get(name));
    }
  }
  const local = (name) => own.get(name) ?? (imported.has(name) ? exportsOf(imported.get(name)[0]).get(imported.get(name)[1]) : undefined);
  for (const node of program.body) {
    if (node.type === "ExportAllDeclaration") {
      if (!node.source.value.startsWith(".")) continue;
      const space = node.exported === null ? "" : `${node.exported.name}.`; // export * as tensor
      for (const [inner, one] of exportsOf(fileOf(path, node.source.value))) {
        const name = space + inner;
        if (!found.has(name) && (node.exportKind !== "type" || one.isType)) found.set(name, { ...one, name });
      }
    }
    if (node.type !== "ExportNamedDeclaration" || node.declaration !== null) continue;
    const isInside = node.source?.value.startsWith(".") ?? true;
    const inner = node.source !== null && isInside ? exportsOf(fileOf(path, node.source.value)) : undefined;
    for (const { local: from, exported, exportKind } of node.specifiers) {
      const isValue = node.exportKind !== "type" && exportKind !== "type";
      if (!isInside) {
        const declaration = text.slice(node.start, node.end);
        found.set(exported.name, {
          name: exported.name,
          path,
          isType: !isValue,
          declaration,
          words: markdownAbove(text, comments, node.start),
        });
        continue;
      }
      const one = inner === undefined ? local(from.name) : inner.get(from.name);
      if (one !== undefined && (isValue || one.isType)) found.set(exported.name, { ...one, name: exported.name });
      const space = `${from.name}.`; // export * as initializers, handed on
      for (const [name, member] of inner ?? [])
        if (name.startsWith(space))
          found.set(`${exported.name}.${name.slice(space.length)}`, { ...member, name: `${exported.name}.${name.slice(space.length)}` });
    }
  }
  return found;
}

function namesOf(node) {
  if (node.type === "VariableDeclaration") return node.declarations.map(({ id }) => id.name);
  return node.id?.name === undefined ? [] : [node.id.name];
}

/** The words above a declaration, with their tags as Markdown. */
function markdownAbove(text, comments, start) {
  return wordsAbove(text, comments, start)
    .replace(/\{@link (\S+)\}/g, "`$1`")
    .replace(/^@param (?:\{[^}]*\} )?(\S+)\s*/gm, "\n- **`$1`**: ")
    .replace(/^@see\s*/gm, "\n**See** ")
    .replace(/^@returns?\s*/gm, "\n**Returns** ")
    .replace(/^@throws (?:\{(\w+)\}\s*)?/gm, (_, name) => `\n**Throws** ${name ? `\`${name}\` ` : ""}`)
    .replace(
      /^@example\s*([\s\S]*?)(?=\n@|$(?![\s\S]))/gm,
      (_, code) => `\n\`\`\`ts\n${code.replace(/^```\w*\n|\n?```$/g, "").trim()}\n\`\`\`\n`,
    );
}
