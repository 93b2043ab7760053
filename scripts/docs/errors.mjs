// Every error that the library throws on purpose, by its code: read from the source, so that the list is whole.
import { join, relative } from "node:path";
import { filesBelow, parsed, walk, wordsAbove } from "./sources.mjs";

const classes = ["UsageError", "DataError", "RunError", "FormatError", "PartitionError", "ShapeError", "DeviceError", "TrainingError"];

export function errorPage(root) {
  const errors = errorsOf(root);
  const words = classWords(root);
  const parts = classes.map((name) => {
    const rows = errors.filter((error) => error.name === name);
    const lines = rows.map(({ code, message, file }) => `| \`${code}\` | ${message === "" ? "" : cell(message)} | ${cell(file)} |`);
    return `## ${name}\n\n${words.get(name)}\n\n| code | message; ‹…› is what was given | thrown in |\n|---|---|---|\n${lines.join("\n")}`;
  });
  const intro = `# Errors

Errors that are thrown on purpose are \`DiffusionBlocksError\`s: \`code\` and \`data\` are for programs, the message is for people. It says what was given, what was expected, and what to do.
On the command line a message stands in one line, without a stack; \`--debug\` shows where it comes from.

## Exit codes

By these a job script or a cluster knows what to do next.

| code | |
|---|---|
${exitCodeRows(root)}`;
  return { name: "errors", title: "Errors", markdown: [intro, ...parts].join("\n\n") };
}

/** @returns code, class, message and file of each error, once for each code and message. */
export function errorsOf(root) {
  const found = new Map();
  for (const path of filesBelow(join(root, "src"), (name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))) {
    const { program } = parsed(path);
    const constants = new Map();
    walk(program, (node) => {
      if (node.type === "VariableDeclarator" && node.id.type === "Identifier" && node.init) constants.set(node.id.name, node.init);
    });
    walk(program, (node) => {
      if (node.type !== "NewExpression" || !classes.includes(node.callee.name)) return;
      const [code, , message] = node.arguments;
      const file = relative(root, path);
      for (const one of codesOf(code)) {
        const text = wordsOf(message, constants);
        found.set(`${node.callee.name} ${one} ${text}`, { code: one, name: node.callee.name, message: text, file });
      }
    });
  }
  return [...found.values()].sort((a, b) => a.code.localeCompare(b.code));
}

/** The exit codes, each with the words above it in the source. */
function exitCodeRows(root) {
  const { text, program, comments } = parsed(join(root, "src/run/exitCodes.ts"));
  const rows = [];
  walk(program, (node) => {
    if (node.type === "TSPropertySignature")
      rows.push(`| ${node.typeAnnotation.typeAnnotation.literal.value} | ${cell(wordsAbove(text, comments, node.start))} |`);
  });
  return rows.join("\n");
}

function codesOf(node) {
  if (node?.type === "Literal") return [node.value];
  if (node?.type === "ConditionalExpression") return [...codesOf(node.consequent), ...codesOf(node.alternate)];
  return [];
}

/** The words of an expression, with what is put in between ‹ and ›. */
function wordsOf(node, constants, depth = 0) {
  if (node === undefined || node === null || depth > 4) return "";
  const inner = (one) => wordsOf(one, constants, depth + 1);
  if (node.type === "Literal") return String(node.value);
  if (node.type === "TemplateLiteral")
    return node.quasis
      .map(({ value }, i) => value.cooked + (i < node.expressions.length ? `‹${nameOf(node.expressions[i])}›` : ""))
      .join("");
  if (node.type === "BinaryExpression" && node.operator === "+") return inner(node.left) + inner(node.right);
  if (node.type === "ConditionalExpression") return inner(node.consequent);
  if (node.type === "Identifier" && constants.has(node.name)) return inner(constants.get(node.name));
  return `‹${nameOf(node)}›`;
}

function nameOf(node) {
  if (node.type === "Identifier") return node.name;
  if (node.type === "MemberExpression") return nameOf(node.property);
  if (node.type === "CallExpression")
    return node.arguments.length > 0 && node.arguments[0].type !== "ArrowFunctionExpression"
      ? nameOf(node.arguments[0])
      : nameOf(node.callee);
  if (node.type === "TSNonNullExpression" || node.type === "TSAsExpression") return nameOf(node.expression);
  return "…";
}

function classWords(root) {
  const { text, program, comments } = parsed(join(root, "src/errors.ts"));
  return new Map(program.body.map((node) => [node.declaration?.id?.name, wordsAbove(text, comments, node.start)]));
}

const cell = (text) => text.replace(/\s+/g, " ").replaceAll("|", "\\|").replaceAll("<", "&lt;");
