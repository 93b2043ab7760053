import { cp, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BlocksOptions, convert, type DiffusionBlocks } from "../src/blocks/index.ts";
import { edmNoise, partitionFromBoundaries, partitionToJSON } from "../src/diffusion/index.ts";
import { argMax, classifyByDenoising, createPredictor, type Predictor } from "../src/inference/index.ts";
import { adamW, schedule } from "../src/optim/index.ts";
import { key } from "../src/random.ts";
import { CheckpointStore, configHash, folderStore, openRun, type RunFolder, savedState } from "../src/run/index.ts";
import { type Device, openDevice } from "../src/runtime/index.ts";
import { predictionValues, train } from "../src/train/index.ts";
import { type Check, checkOwnership, verifyRun } from "../src/verify/index.ts";
import { tinyBatch, tinyVit } from "./support/tiny.ts";

/**
 * A problem in which each block can work on its own noise range only: below sigma 0.05 the noisy label tells the
 * class, and a head that reads cOut F + cSkip z hears next to nothing of the image; above it the image alone tells
 * the class. A block that is asked in the other's range guesses. Every function of a program with the ranges in the
 * wrong order may pass its own tests; this path does not.
 */
const cut = partitionFromBoundaries({ boundaries: [80, 0.05, 0.002], noise: edmNoise });
const [numClasses, steps, batchSize, testSize] = [10, 240, 32, 200];
const config = { problem: "seam" };
const hash = configHash(config);

function blocks(options: Partial<BlocksOptions> = {}): DiffusionBlocks {
  return convert(tinyVit({ numLayers: 2, numClasses }), {
    partition: cut,
    headInput: "mixed",
    labelLikelihood: "learned",
    initialGate: 0,
    ...options,
  });
}

let device: Device;
let home: string;
let folder: RunFolder;
/** The weights in memory when each block had made its last step. */
const inMemory = new Map<string, Float32Array>();

beforeAll(async () => {
  device = await openDevice("cpu", { threads: 1 });
  home = await mkdtemp(join(tmpdir(), "dblocks-"));
  folder = await openRun(join(home, "run"), { create: true });
  await folder.writeConfig(config);
  await folder.writePartition(partitionToJSON(cut));
  const { finished } = await train(blocks(), {
    device,
    batches: { stepsPerEpoch: 50, at: (index) => tinyBatch(index, batchSize, numClasses) },
    batchSize,
    steps,
    schedule: "sequential",
    optimizer: adamW(),
    learningRate: schedule({ kind: "cosine", learningRate: 1e-2, warmupSteps: 10, totalSteps: steps, floor: 0.01 }),
    seed: 3,
    store: folderStore(folder, { configHash: hash, keepLast: 2, onSkip: (path, reason) => expect.fail(`${path}: ${reason}`) }),
    logEvery: 50,
    saveEvery: 100,
    onUnitDone: ({ trainable }, values) => {
      for (const path of trainable.keys()) inMemory.set(path, values(path).slice());
    },
  });
  expect(finished).toBe(true);
});
afterAll(async () => {
  await device.dispose();
  await rm(home, { recursive: true });
});

/** A new method with the weights of the newest checkpoints: nothing comes from the training above but its files. */
async function load(): Promise<{ method: DiffusionBlocks; predictor: Predictor }> {
  const method = blocks();
  const values = new Map<string, Float32Array>();
  for (const unit of method.units) {
    const checkpoint = await CheckpointStore.forReading({ folder: folder.unitFolder(unit.name), unit: unit.name, configHash: hash }).load();
    expect(checkpoint?.step).toBe(steps);
    for (const [path, value] of predictionValues(unit, savedState(checkpoint!))) values.set(path, value);
  }
  return { method, predictor: createPredictor(method, { device, values: (path) => values.get(path)!, batchSize: testSize }) };
}

const { input, labels } = tinyBatch(1_000_000, testSize, numClasses);

function accuracy(scores: Float32Array): number {
  const predicted = argMax(scores, numClasses);
  return labels.filter((label, i) => label === predicted[i]).length / testSize;
}

describe("train, save, load, sample", () => {
  test("the walk from files is as good as it must be, and is that of the weights in memory, bit for bit", async () => {
    const { predictor } = await load();
    const scores = await predictor.predict(input, key(5));
    expect(accuracy(scores)).toBeGreaterThan(0.8);
    await predictor.dispose();
    await using trained = createPredictor(blocks(), { device, values: (path) => inMemory.get(path)!, batchSize: testSize });
    expect(scores).toEqual(await trained.predict(input, key(5)));
  });

  test("block 0 alone knows the image; block 1 alone, asked at its entry, was given nothing to read and guesses", async () => {
    const { method, predictor } = await load();
    const [first, second] = method.units;
    expect(accuracy(await predictor.predict(input, key(5), first))).toBeGreaterThan(0.8);
    expect(accuracy(await predictor.predict(input, key(5), second))).toBeLessThan(0.4);
    await predictor.dispose();
  });

  // The negative control.
  test.each(["equi-probability", "block-entry"] as const)(
    "with the order of the blocks reversed at sampling it fails, on the %s grid",
    async (grid) => {
      const { method, predictor } = await load();
      const { call } = predictor;
      const sampling = { ...method.sampling, grid };
      const classify = (model: DiffusionBlocks): Promise<Float32Array> =>
        classifyByDenoising({ model, call, input, batchSize: testSize, key: key(5), sampling });
      expect(accuracy(await classify(method))).toBeGreaterThan(0.8);
      expect(accuracy(await classify({ ...method, estimates: method.estimates.toReversed() }))).toBeLessThan(0.4);
      await predictor.dispose();
    },
  );
});

describe("checkOwnership", () => {
  test("holds for training and sampling with one partition", () => {
    expect(checkOwnership(blocks(), cut)).toMatchObject({ ok: true });
    const overlapping = partitionFromBoundaries({ boundaries: [80, 1, 0.3, 0.1, 0.002], noise: edmNoise, overlap: 0.1 });
    expect(checkOwnership(convert(tinyVit({ numLayers: 4 }), { partition: overlapping }), overlapping)).toMatchObject({ ok: true });
  });

  test("sees training ranges in the order of the layers' reverse", () => {
    const reversed = { ...cut, trainingRanges: cut.trainingRanges.toReversed() };
    const { ok, detail } = checkOwnership(blocks({ partition: reversed }), cut);
    expect(ok).toBe(false);
    expect(detail).toMatch(/the training of block-0 draws sigma 0\.0\d+, outside its range/);
  });

  test("sees sampling programs in the wrong order", () => {
    const method = blocks();
    expect(checkOwnership({ ...method, estimates: method.estimates.toReversed() }, cut)).toMatchObject({
      ok: false,
      detail: expect.stringContaining("parameters that block-0 did not train"),
    });
  });

  test("sees a partition other than the one that was trained with", () => {
    const other = partitionFromBoundaries({ boundaries: [80, 0.3, 0.002], noise: edmNoise });
    expect(checkOwnership(blocks(), other)).toMatchObject({ ok: false, detail: expect.stringContaining("boundaries [80, 0.3, 0.002]") });
  });
});

describe("verifyRun", () => {
  const verify = async (path: string): Promise<readonly Check[]> =>
    verifyRun({ folder: await openRun(path), method: blocks(), configHash: hash });

  /** The checks that fail after a change to a copy of the run. */
  async function failuresAfter(change: (path: string) => Promise<void>): Promise<readonly Check[]> {
    const path = await mkdtemp(join(home, "copy-"));
    await cp(folder.path, path, { recursive: true });
    await change(path);
    return (await verify(path)).filter(({ ok }) => !ok);
  }

  async function newestFile(unit: string): Promise<string> {
    return join(
      unit,
      (await readdir(unit))
        .filter((name) => name.endsWith(".safetensors"))
        .sort()
        .at(-1)!,
    );
  }

  test("proves a sound run", async () => {
    const checks = await verify(folder.path);
    expect(checks.map(({ name, ok }) => [name, ok])).toEqual([
      ["each block answers where it was trained", true],
      ["no gradient crosses a block", true],
      ["the checkpoints are whole and of this configuration", true],
      ["what blocks have in common is the same in all of them", true],
      ["every line of the log is whole", true],
    ]);
    expect(checks[2]!.detail).toContain("4 files of 2 units");
    expect(checks[3]!.detail).toContain("1 comparison");
  });

  test("names a damaged file", async () => {
    const [failure, ...others] = await failuresAfter(async (path) => {
      const file = await newestFile(join(path, "block-1"));
      const bytes = await readFile(file);
      bytes[bytes.length - 5]! ^= 1;
      await writeFile(file, bytes);
    });
    expect(others).toEqual([]);
    expect(failure!.detail).toContain("step-000240.safetensors");
    expect(failure!.detail).toContain("SHA-256");
  });

  test("sees two blocks' folders exchanged", async () => {
    const failures = await failuresAfter(async (path) => {
      await rename(join(path, "block-0"), join(path, "other"));
      await rename(join(path, "block-1"), join(path, "block-0"));
      await rename(join(path, "other"), join(path, "block-1"));
    });
    expect(failures.map(({ detail }) => detail).join()).toContain("it belongs to block-1, not to block-0");
  });

  test("sees a block with another target table", async () => {
    const failures = await failuresAfter(async (path) => {
      const store = await CheckpointStore.open({ folder: join(path, "block-1"), unit: "block-1", configHash: hash });
      const { tensors } = (await store.load())!;
      const saved = [...tensors].map(([name, { dtype, shape, data }]) => ({
        name,
        dtype,
        shape,
        data: name === "constant/targets" ? data.map((byte, i) => (i === 2 ? byte ^ 1 : byte)) : data,
      }));
      await store.save({ step: steps + 1, tensors: saved });
    });
    expect(failures.map(({ detail }) => detail)).toEqual([
      expect.stringMatching(
        /the targets of block-1 are not those of this configuration; constant\/targets differs between block-0 and block-1/,
      ),
    ]);
  });

  test("sees a block that is missing, and a partition that is not the run's", async () => {
    expect(await failuresAfter((path) => rm(join(path, "block-0"), { recursive: true }))).toMatchObject([
      { detail: expect.stringContaining("block-0 has no whole checkpoint") },
    ]);
    const other = partitionToJSON(partitionFromBoundaries({ boundaries: [80, 0.3, 0.002], noise: edmNoise }));
    expect(await failuresAfter((path) => writeFile(join(path, "partition.json"), JSON.stringify(other)))).toMatchObject([
      { name: "each block answers where it was trained" },
    ]);
    expect(await failuresAfter((path) => rm(join(path, "partition.json")))).toMatchObject([
      { detail: expect.stringContaining("no partition.json") },
    ]);
  });
});
