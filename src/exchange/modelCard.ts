import type { RunContent } from "./runContent.ts";

/** What a card says beyond the run's own configuration. */
export interface CardFacts {
  /** Numbers in all parameters. */
  readonly parameters: number;
  /** The evaluation as lines, where there was one. */
  readonly evaluation: string | undefined;
}

/** The card of an exported run: what it is, of which data, by which command, how good, how to use it. */
export function modelCard({ config, method, info }: RunContent, { parameters, evaluation }: CardFacts): string {
  const { model, training } = config;
  const options = Object.entries(model)
    .filter(([name]) => name !== "name")
    .map(([name, value]) => `| ${name} | ${JSON.stringify(value)} |`);
  const ranges = method.partition?.ranges.map(
    ([low, high], b) => `| ${method.units[b]!.name} | ${low.toPrecision(4)} to ${high.toPrecision(4)} |`,
  );
  return [
    "---",
    "library_name: diffusion-blocks",
    `tags: [diffusion-blocks, ${model.name}, ${config.method.name}]`,
    "---",
    "",
    `# ${model.name}, ${config.method.name}, on ${info.name}`,
    "",
    `${(parameters / 1e6).toPrecision(3)} million parameters, float32, in \`model.safetensors\`; matrices are [in, out].`,
    "",
    "| option | value |",
    "|---|---|",
    ...options,
    ...(ranges === undefined ? [] : ["", "| unit | range that it owns |", "|---|---|", ...ranges]),
    "",
    "## Training",
    "",
    `Data: ${info.name}. ${training.epochs} epochs for each unit, batches of ${training.batchSize}, learning rate ${training.learningRate}, seed ${training.seed}.`,
    "`config.json` is the whole configuration:",
    "",
    `    npx dblocks train ${model.name} --config config.json --run runs/again`,
    "",
    "## Evaluation",
    "",
    ...(evaluation === undefined ? ["None was made."] : evaluation.split("\n").map((line) => `    ${line}`)),
    "",
    "## Use",
    "",
    "    npx dblocks import . --out runs/imported",
    "    npx dblocks evaluate runs/imported --data PATH",
    "",
  ].join("\n");
}
