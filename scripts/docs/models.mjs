// A page for each model: what it is, how it is trained, and every option with its default, from the schemas themselves.
import { join } from "node:path";
import { pathToFileURL } from "node:url";

export async function modelPages(root) {
  const { registry, configSchema, flagsOf, defaultMethod } = await import(pathToFileURL(join(root, "dist/index.js")).href);
  const pages = registry.models.map((model) => {
    const methods = registry.methodsFor(model);
    const own = defaultMethod(model);
    const flags = (method) => flagsOf(configSchema(registry, model.name, method));
    const shown = flags(own);
    const presets = Object.entries(model.presets);
    const parts = [
      `# ${model.name}\n\n${sentence(model.summary)}\n\n    npx dblocks train ${model.name} --data PATH\n\nData: ${model.task.pathDescription}. Without \`--data\`: ${model.task.defaultPath ?? "it must be given"}.`,
      `## The network\n\n${table(shown.filter(({ section }) => section === "model"))}`,
      ...methods.map((method) => {
        const rows = flags(method.name).filter(({ section }) => section === "method");
        return `## --method ${method.name}\n\n${sentence(method.summary)}${method.name === own ? " This is the default." : ""}\n\n${table(rows)}`;
      }),
      `## Data\n\n${table(shown.filter(({ section }) => section === "data"))}`,
      `## Training\n\n${table(shown.filter(({ section }) => section === "training"))}`,
      `## Execution\n\nThese change nothing that is learned.\n\n${table(shown.filter(({ section }) => section === "execution"))}`,
    ];
    if (presets.length > 0)
      parts.push(
        `## Presets\n\n| \`--preset\` | |\n|---|---|\n${presets.map(([name, { description }]) => `| \`${name}\` | ${cell(description)} |`).join("\n")}`,
      );
    return { name: `model-${model.name}`, title: model.name, markdown: parts.join("\n\n") };
  });
  return pages;
}

function table(flags) {
  if (flags.length === 0) return "It has no options of its own.";
  const rows = flags.map(
    ({ flag, path, description, byDefault }) =>
      `| \`--${flag}\` | ${cell(description)} | ${byDefault === undefined ? "" : `\`${byDefault}\``} | \`${path}\` |`,
  );
  return `| option | | default | in config.json |\n|---|---|---|---|\n${rows.join("\n")}`;
}

const cell = (text) => text.replaceAll("|", "\\|").replaceAll("<", "&lt;");
const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
