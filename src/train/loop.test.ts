import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { device } from "../../test/support/devices.ts";
import { convertLanguage, type LanguageBlocks } from "../blocks/index.ts";
import { classNoise, partition } from "../diffusion/index.ts";
import { autoregressive } from "../models/index.ts";
import { adamW } from "../optim/index.ts";
import { fold, integer, key } from "../random.ts";
import { openRun } from "../run/index.ts";
import type { Device } from "../runtime/index.ts";
import { type Batch, type TrainOptions, type TrainResult, train } from "./index.ts";

const cpu = await device("cpu");
const [batchSize, length, vocabSize, steps] = [4, 8, 5, 9];
const folder = mkdtempSync(join(tmpdir(), "dblocks-loop-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Blocks that take turns: each goes on from where the others are. Symbols are made anew. */
function turns(): LanguageBlocks {
  const network = autoregressive({ vocabSize, length, width: 8, numLayers: 3, numHeads: 2, mlpWidth: 16 });
  const cut = partition({ numBlocks: 3, noise: classNoise });
  return convertLanguage(network, { partition: cut, reading: "stacked", nextTokenWeight: 1, nextTokenPlace: "network" });
}

function textAt(index: number): Batch {
  const input = Int32Array.from({ length: batchSize * length }, (_, i) => integer(fold(fold(key("text"), index), i), vocabSize));
  return { input, labels: new Int32Array(batchSize) };
}

type Weights = ReadonlyMap<string, Float32Array>;

async function trained(more: Partial<TrainOptions>): Promise<{ readonly weights: Weights; readonly result: TrainResult }> {
  const weights = new Map<string, Float32Array>();
  const result = await train(turns(), {
    device: cpu,
    batches: { stepsPerEpoch: 3, at: textAt },
    batchSize,
    steps,
    schedule: "interleaved",
    optimizer: adamW(),
    learningRate: () => 1e-2,
    seed: 3,
    emaDecay: 0.9,
    onUnitDone: ({ trainable }, values) => {
      for (const path of trainable.keys()) weights.set(path, values(path).slice());
    },
    ...more,
  });
  return { weights, result };
}

describe("units that take turns on parameters of each other", () => {
  test("see what the others have learned", async () => {
    const { weights } = await trained({});
    const alone = await trained({ units: ["block-1"] });
    expect([...weights.keys()].sort()).toEqual(
      turns()
        .units.flatMap(({ trainable }) => [...trainable.keys()])
        .sort(),
    );
    for (const [path, values] of alone.weights) if (path.endsWith("qkv.weight")) expect(values).not.toEqual(weights.get(path));
  });

  test("go on from the newest step that all of them have, with the very weights of a run that was never stopped", async () => {
    const { weights } = await trained({});
    const run = await openRun(join(folder, "run"), { create: true });
    const stop = new AbortController();
    const record: TrainOptions["record"] = {
      folder: run,
      configHash: "a",
      openLog: (resumeFrom) => run.openMetrics({ resumeFrom }),
      logEvery: 1,
      saveEvery: 3,
      keepLast: 2,
      onSkip: () => {},
    };
    const onStep: TrainOptions["onStep"] = ({ name }, { step }) => {
      if (name === "block-2" && step === 6) stop.abort();
    };
    expect((await trained({ record, onStep, signal: stop.signal })).result).toMatchObject({ finished: false, steps: { "block-0": 6 } });
    // Killed while it saved: one of them has the step before only.
    const last = (unit: string): string =>
      readdirSync(join(folder, "run", unit))
        .filter((name) => name.startsWith("step-"))
        .sort()
        .at(-1)!;
    expect(last("block-1")).toBe("step-000006.safetensors");
    rmSync(join(folder, "run", "block-1", last("block-1")));
    const steppedOn: number[] = [];
    const resumed = await trained({ record, onStep: ({ name }, { step }) => void (name === "block-0" && steppedOn.push(step)) });
    expect(steppedOn).toEqual([4, 5, 6, 7, 8, 9]);
    expect(resumed.weights).toEqual(weights);
    // Evaluated once more by nobody, and nothing to do.
    const evaluated: number[] = [];
    expect((await trained({ record, evaluate: async () => ({}), onEvaluated: (_, step) => evaluated.push(step) })).weights).toEqual(
      weights,
    );
    expect(evaluated).toEqual([]);
  });

  test("are refused on a device where each holds parameters of its own", async () => {
    const webgpu = { ...cpu, name: "webgpu" } as Device;
    await expect(trained({ device: webgpu })).rejects.toThrow(expect.objectContaining({ code: "sharedOnDevice" }));
  });
});

test("the evaluation after the last step sees the last parameters, and is logged before the last checkpoint", async () => {
  const run = await openRun(join(folder, "evaluated"), { create: true });
  const seen: [string, number][] = [];
  const record = { folder: run, configHash: "a", logEvery: 100, saveEvery: 3, keepLast: 1, onSkip: () => {} }; // at the last step too
  await trained({
    record: { ...record, openLog: (resumeFrom) => run.openMetrics({ resumeFrom }) },
    evaluateEvery: 4,
    evaluate: async (unit, values) => ({ first: values([...unit.trainable.keys()][0]!)[0]! }),
    onEvaluated: ({ name }, step) => seen.push([name, step]),
  });
  const names = ["block-0", "block-1", "block-2"];
  expect(seen).toEqual([4, 8, 9].flatMap((step) => names.map((name) => [name, step])));
  const logged = (await run.readMetrics()).filter(({ values }) => "validation/first" in values);
  expect(logged.map(({ unit, step }) => [unit, step])).toEqual(seen);
});
