// A data format of one's own, and a task of one's own.
//
// The format: one file of numbers, a line an image: its class, then side × side grey levels from 0 to 255. The last tenth is for tests.
// The task: classes as the package has it, but judged by balanced accuracy, the mean over classes, for data whose
// classes differ in number.
//
//   dblocks --plugin examples/greyscale.mjs train balanced-mlp --data digits.grey.csv --epochs 5
// @ts-check
import { readFile } from "node:fs/promises";
import * as db from "diffusion-blocks";
import { loadImages, registerLoader } from "diffusion-blocks/node";

/** @type {import("diffusion-blocks/node").ImageFormat} */
export const greyscaleFormat = {
  name: "grey csv",
  description: "a .grey.csv with a class and side × side grey levels a line",
  recognises: (path, files) => files === undefined && path.endsWith(".grey.csv"),
  load: async (path) => {
    const rows = (await readFile(path, "utf8"))
      .trim()
      .split("\n")
      .map((line) => line.split(",").map(Number));
    const side = Math.sqrt((rows[0]?.length ?? 0) - 1);
    const wrong = rows.findIndex((row) => row.length !== side ** 2 + 1 || row.some((x) => !(Number.isInteger(x) && x >= 0 && x < 256)));
    if (wrong >= 0 || !Number.isInteger(side))
      throw new db.DataError(
        "badRow",
        { path, row: wrong + 1 },
        `${path}, line ${wrong + 1}: not a class and side × side grey levels from 0 to 255.`,
      );
    const numClasses = Math.max(...rows.map(([label = 0]) => label)) + 1;
    /** @param {readonly number[][]} part */
    const split = (part) => ({
      images: Uint8Array.from(part.flatMap(([, ...pixels]) => pixels)),
      labels: Int32Array.from(part, ([label = 0]) => label),
      count: part.length,
      channels: 1,
      height: side,
      width: side,
    });
    const numTrain = Math.floor(0.9 * rows.length);
    const train = split(rows.slice(0, numTrain));
    return {
      name: "grey csv",
      numClasses,
      classNames: Array.from({ length: numClasses }, (_, k) => String(k)),
      ...db.channelStatistics(train),
      train,
      test: split(rows.slice(numTrain)),
    };
  },
};

/** @type {typeof db.classes} */
export const balanced = db.defineTask({
  ...db.classes,
  schema: db.imageDataOptions,
  name: "balanced classes",
  scoreOf: ({ classes }) => {
    const shares = Object.values(classes);
    return { title: "balanced accuracy %", value: (100 * shares.reduce((a, b) => a + b, 0)) / shares.length, best: "max", digits: 2 };
  },
  textOf: (evaluation) => {
    const { title, value } = balanced.scoreOf(evaluation);
    return `${db.classes.textOf(evaluation)}\n${title} ${value.toFixed(2)}`;
  },
});
registerLoader(balanced, (path, _options, load) => loadImages(path, load));

export const balancedMlp = db.defineModel({
  name: "balanced-mlp",
  summary: "multi-layer perceptron, judged by balanced accuracy",
  kind: db.plainClassifierKind,
  task: balanced,
  schema: db.mlpOptions,
  defaults: { method: "end-to-end", training: { batchSize: 32, learningRate: 2e-3 }, data: { augmentation: "none" } },
  build: (config, images) => db.mlpClassifier({ ...config, ...images }),
});
