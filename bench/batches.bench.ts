import { bench, describe } from "vitest";
import { generateEmbedded, trainBatches } from "../src/data/index.ts";

/** A batch of 128 images of 3×32×32: gathered, augmented, normalised. Run: npx vitest bench --run bench/batches.bench.ts */
const { train, mean, std } = generateEmbedded({ train: 2048, test: 10 });
const into = { images: new Float32Array(128 * 3 * 32 * 32), labels: new Int32Array(128) };

describe("training batch of 128", () => {
  for (const augmentation of ["none", "flip", "flip-crop", "randaugment", "flip-crop,mixup:0.2"]) {
    const batches = trainBatches(train, { batchSize: 128, seed: 0, augmentation, mean, std });
    let step = 0;
    bench(augmentation, () => void batches.at(step++ % batches.stepsPerEpoch, into), { time: 500, warmupIterations: 20 });
  }
});
