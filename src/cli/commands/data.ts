import { writeFile } from "node:fs/promises";
import { Command } from "commander";
import { augmentationPlan, augmentationUsage } from "../../index.ts";
import { type DataInfo, dataInfo, getPublished, publishedDataset, publishedDatasets, publishedFolder, renderTable } from "../../node.ts";
import { watchInterruption } from "../interruption.ts";
import { bytes, print, printJson, say } from "../output.ts";
import { positiveNumber } from "../words.ts";

export function dataCommand(): Command {
  return new Command("data")
    .description("look at a data set, or download a published one")
    .addCommand(infoCommand())
    .addCommand(getCommand());
}

function infoCommand(): Command {
  return new Command("info")
    .description("what a data set holds: format, counts, classes, shapes and a sheet of images; lengths and tokens of a text")
    .argument("<path>", "anything that --data takes")
    .option("--image-size <pixels>", "scale images to this short side and crop the square in the middle", positiveNumber)
    .option("--label <column>", "column of the classes, in tables and parquet files")
    .option("--tokenizer <name>", "of a text: text8, bytes, or a tokenizer.json", "auto")
    .option("--augment <list>", `show in the sheet what an augmentation makes: ${augmentationUsage.join(", ")}`)
    .option("--out <file>", "the sheet of images", "data.png")
    .option("--json", "print the result as JSON")
    .action(async (path: string, { imageSize, label, tokenizer, augment, out, json }) => {
      if (augment !== undefined) augmentationPlan(augment);
      const { info, sheet } = await dataInfo(path, { imageSize, label, tokenizer, augmentation: augment, onNotice: say });
      if (sheet !== undefined) await writeFile(out, sheet);
      if (json) return printJson(info);
      print(textOf(info));
      if (sheet !== undefined) print(`sheet of images: ${out}`);
    });
}

/** Classes that are listed. */
const mostClasses = 20;

function textOf(info: DataInfo): string {
  if (info.kind === "text") {
    const { name, documents, characters, documentLengths, tokenizer, vocabSize, used, tokens, charactersPerToken, unigramBits, frequent } =
      info;
    const length = documents > 1 ? `, of ${documentLengths.join(", ")} characters (shortest, quartiles, longest)` : "";
    return [
      `${name}: text, ${documents} ${documents === 1 ? "document" : "documents"}${length}, ${characters} characters in all`,
      `tokenizer ${tokenizer}: ${used} of ${vocabSize} tokens occur, ${charactersPerToken.toFixed(2)} characters a token`,
      `tokens: ${tokens.train} for training, ${tokens.validation} for validation, ${tokens.test} for tests`,
      `bits a token without context: ${unigramBits.toFixed(3)}`,
      `most frequent: ${frequent.map(({ token, share }) => `${JSON.stringify(token)} ${(100 * share).toFixed(1)} %`).join(", ")}`,
    ].join("\n");
  }
  const { name, format, channels, height, width, isNumbers, train, test, mean, std, classes } = info;
  const numbers = (values: readonly number[]): string => {
    const shown = values.slice(0, 8).map((value) => value.toFixed(3));
    return `${shown.join(" ")}${values.length > shown.length ? " …" : ""}`;
  };
  const right = (title: string) => ({ title, align: "right" }) as const;
  const rows = classes.slice(0, mostClasses).map((one) => [one.name, String(one.train), String(one.test)]);
  return [
    `${name} (${format}): ${train} for training, ${test} for tests, ${isNumbers ? "numbers" : "pixels"} ${channels}×${height}×${width}, ${classes.length} classes`,
    `mean ${numbers(mean)}, deviation ${numbers(std)}`,
    ...(rows.length > 0 ? [renderTable(["class", right("train"), right("test")], rows)] : []),
    ...(classes.length > rows.length ? [`and ${classes.length - rows.length} classes more`] : []),
  ].join("\n");
}

function getCommand(): Command {
  const names = publishedDatasets.map(({ name, description }) => `  ${name.padEnd(16)}${description}`);
  return new Command("get")
    .description("download a published data set, with its checksum; train --data NAME finds it then")
    .argument("<name>", publishedDatasets.map(({ name }) => name).join(", "))
    .option("--folder <folder>", "where data sets are kept ($DBLOCKS_DOWNLOADS)", publishedFolder())
    .option("--json", "print the result as JSON")
    .addHelpText("after", `\nData sets:\n${names.join("\n")}`)
    .action(async (name: string, { folder, json }) => {
      const dataset = publishedDataset(name);
      const { signal } = watchInterruption(() => say("Stopping; what has arrived is kept."));
      let total = 0;
      let said = 0;
      const path = await getPublished(dataset, {
        folder,
        signal,
        onFile: (file) => {
          total = dataset.files[file]!.bytes;
          said = 0;
          say(`${file}, ${bytes(total)}`);
        },
        onProgress: (arrived) => {
          if (arrived < said + total / 10) return;
          said = arrived;
          say(`${Math.floor((100 * arrived) / total)} %`);
        },
      });
      if (json) return printJson({ name, path });
      print(`${path}\nTrain on it: --data ${name}`);
    });
}
