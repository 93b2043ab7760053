import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { Command } from "commander";
import { classes, DataError, registry, text as textTask } from "../../index.ts";
import { type DeviceChoice, decodeImageFile, openTrainedRun, renderTable, type TrainedRun, trainedModelOf } from "../../node.ts";
import { print, printJson, say } from "../output.ts";
import { checkpointOption, deviceOption, positiveNumber, threadsOption, wholeNumber } from "../words.ts";

interface PredictOptions extends DeviceChoice {
  readonly topK: number;
  readonly block?: number;
  readonly seed: number;
  readonly json?: boolean;
  readonly checkpoint?: "best" | "last";
}

export function predictCommand(): Command {
  return new Command("predict")
    .description("classify images with a trained run, or measure the likelihood of texts")
    .argument("<run>", "folder of the run")
    .argument("<files...>", "images (PNG, JPEG), folders of them, or text files; - reads the standard input")
    .option("--top-k <n>", "classes shown of each image, the likeliest first", positiveNumber, 1)
    .option("--block <n>", "one block alone, by number", wholeNumber)
    .option("--seed <n>", "seed of the noise that predictions start from", wholeNumber, 0)
    .addOption(checkpointOption())
    .addOption(deviceOption())
    .addOption(threadsOption())
    .option("--json", "print the result as JSON")
    .action(async (path: string, files: readonly string[], options: PredictOptions) => {
      const run = await openTrainedRun(registry, path, { checkpoint: options.checkpoint, onNotice: say });
      await (run.task === textTask ? measureTexts : classifyImages)(run, files, options);
    });
}

async function classifyImages(
  run: TrainedRun,
  files: readonly string[],
  { topK, block, seed, json, ...choice }: PredictOptions,
): Promise<void> {
  await using whole = await trainedModelOf(run, { task: classes, ...choice });
  const { info } = whole;
  const model = block === undefined ? whole : whole.block(block);
  const names = await expanded(files, /\.(png|jpe?g)$/i);
  const pixels = info.channels * info.height * info.width;
  const images = new Uint8Array(names.length * pixels);
  const { imageSize, maxImagePixels } = run.config.data;
  const decoding = { resized: imageSize !== undefined, maxPixels: maxImagePixels as number | undefined };
  for (const [i, name] of names.entries()) images.set(decodeImageFile(await bytesOf(name), name, info, decoding), i * pixels);
  const { probabilities } = await model.predict(images, { seed });
  const results = names.map((file, i) => {
    const own = probabilities.subarray(i * info.numClasses, (i + 1) * info.numClasses);
    const order = [...own.keys()].sort((a, b) => own[b]! - own[a]!).slice(0, topK);
    return { file, classes: order.map((label) => ({ label, name: info.classNames[label] ?? String(label), probability: own[label]! })) };
  });
  if (json) return printJson(results);
  const rows = results.flatMap(({ file, classes: own }) =>
    own.map(({ name, probability }, i) => [i === 0 ? file : "", name, `${(100 * probability).toFixed(1)} %`]),
  );
  print(renderTable(["file", "class", { title: "probability", align: "right" }], rows));
}

async function measureTexts(run: TrainedRun, files: readonly string[], { json, device, threads }: PredictOptions): Promise<void> {
  await using model = await trainedModelOf(run, { task: textTask, device, threads });
  const results = [];
  for (const file of await expanded(files, /\.txt$/i))
    results.push({ file, ...(await model.logLikelihood((await bytesOf(file)).toString("utf8"))) });
  if (json) return printJson(results);
  const rows = results.map(({ file, tokens, nats, bits, bitsPerByte, kind }) => [
    file,
    tokens,
    (-nats * tokens).toFixed(1),
    `${kind === "bound" ? "at most " : ""}${bits.toFixed(3)}`,
    bitsPerByte.toFixed(3),
  ]);
  print(renderTable(["file", "tokens", "ln p", "bits a token", "bits a byte"], rows));
}

/** Files as they are, and those in folders whose names match, in order. @throws {DataError} if there are none. */
async function expanded(paths: readonly string[], pattern: RegExp): Promise<readonly string[]> {
  const files: string[] = [];
  for (const path of paths) {
    if (path === "-" || !(await isFolder(path))) files.push(path);
    else
      files.push(
        ...(await readdir(path))
          .filter((name) => pattern.test(name) && !name.startsWith("."))
          .sort()
          .map((name) => join(path, name)),
      );
  }
  if (files.length > 0) return files;
  throw new DataError("noFiles", { paths }, `There are no files to predict in ${paths.join(", ")}.`);
}

async function isFolder(path: string): Promise<boolean> {
  const info = await stat(path).catch((cause: unknown) => {
    throw new DataError("noFile", { path }, `There is nothing at ${path}.`, { cause });
  });
  return info.isDirectory();
}

/** The content of a file, or of the standard input. */
async function bytesOf(path: string): Promise<Buffer> {
  if (path !== "-") return readFile(path);
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
