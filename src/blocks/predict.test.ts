import { describe, expect, test } from "vitest";
import { tinyVit } from "../../test/support/tiny.ts";
import { blockOfSigma, partition } from "../diffusion/index.ts";
import { key, normal } from "../random.ts";
import type { HostArray } from "../tensor/index.ts";
import { entryLevel, type PredictWalk, predictWalk, type Sampling, samplingGrid } from "./predict.ts";
import { orthonormalRows } from "./targets.ts";

const sampling: Sampling = { numSteps: undefined, grid: "equi-probability", bridge: "soft", readout: "last" };

describe("samplingGrid", () => {
  test.each([1, 2, 3, 4, 6])("with %d blocks, as many steps as blocks ask each block exactly once, in order", (numBlocks) => {
    const cut = partition({ numBlocks });
    const blocks = Array.from({ length: numBlocks }, (_, b) => b);
    for (const grid of ["equi-probability", "block-entry"] as const) {
      expect(samplingGrid({ ...sampling, grid }, cut).map((sigma) => blockOfSigma(cut, sigma))).toEqual(blocks);
    }
  });

  test("runs from sigmaMax down, in as many steps as asked", () => {
    const cut = partition({ numBlocks: 3 });
    for (const grid of ["equi-probability", "karras"] as const) {
      const sigmas = samplingGrid({ ...sampling, grid, numSteps: 7 }, cut);
      expect(sigmas).toHaveLength(7);
      expect([sigmas[0], sigmas[6]]).toEqual([80, 0.002]);
    }
  });

  test("a block's entry level is its own even after rounding to float32", () => {
    const cut = partition({ numBlocks: 5 });
    for (const [b, range] of cut.ranges.entries()) expect(blockOfSigma(cut, Math.fround(entryLevel(range, b)))).toBe(b);
  });
});

describe("predictWalk", () => {
  const [batchSize, numClasses] = [3, 4];
  const architecture = tinyVit();
  const table = orthonormalRows(numClasses, architecture.width);
  const labels = [2, 0, 3];
  const start = new Float32Array(batchSize * architecture.width);
  normal(key("start"), start);
  const cut = partition({ numBlocks: 3 });

  /** Stands in for a network that knows the class: certain, and telling which block was asked. */
  function walk(changes: Partial<PredictWalk> = {}): {
    scores: Promise<Float32Array>;
    asked: string[];
    states: { sigma: number; z: Float32Array }[];
  } {
    const asked: string[] = [];
    const states: { sigma: number; z: Float32Array }[] = [];
    const call = async (program: string): Promise<Record<string, HostArray>> => {
      if (program === "targets") return { table };
      asked.push(program);
      const evidence = new Float32Array(batchSize * numClasses).fill(asked.length);
      return {
        evidence,
        logits: Float32Array.from(labels.flatMap((label) => Array.from({ length: numClasses }, (_, k) => (k === label ? 1000 : 0)))),
      };
    };
    const onStep: PredictWalk["onStep"] = ({ sigma, z }) => states.push({ sigma, z });
    const scores = predictWalk({
      architecture,
      partition: cut,
      call,
      input: new Float32Array(0),
      batchSize,
      key: key(0),
      sampling,
      start,
      onStep,
      ...changes,
    });
    return { scores, asked, states };
  }

  test.each(["soft", "hard", "sampled"] as const)(
    "a perfect denoiser leads along the straight line from the start to the target, by the %s bridge",
    async (kind) => {
      const { scores, states } = walk({ sampling: { ...sampling, bridge: kind, numSteps: 6 } });
      await scores;
      expect(states).toHaveLength(6);
      const first = states[0]!;
      for (const [i, z] of first.z.entries()) expect(z).toBeCloseTo(start[i]! * Math.sqrt(1 + 80 ** 2), 3);
      for (const { sigma, z } of states) {
        const share = sigma / first.sigma; // z = y + share (z0 - y): a step in the other direction would lead away
        for (const [i, value] of z.entries()) {
          const y = table[labels[Math.floor(i / architecture.width)]! * architecture.width + (i % architecture.width)]!;
          expect(Math.abs(value - (y + share * (first.z[i]! - y)))).toBeLessThan(1e-4 * (1 + Math.abs(first.z[i]!) * share));
        }
      }
    },
  );

  test("the block that owns sigma is asked, and T levels are T evaluations", async () => {
    const { scores, asked } = walk();
    await scores;
    expect(asked).toEqual(["block-0", "block-1", "block-2"]);
    const longer = walk({ grid: [80, 1, 0.3, 0.2, 0.01] });
    await longer.scores;
    expect(longer.asked).toEqual(["block-0", "block-0", "block-1", "block-1", "block-2"]);
  });

  test("the answer is the last evaluation's, or the mean of what each evaluation says of the input", async () => {
    expect((await walk().scores)[2]).toBe(1000);
    expect([...(await walk({ sampling: { ...sampling, readout: "evidence" } }).scores)]).toEqual(new Array(12).fill(2));
  });

  test("without a start of its own, the walk begins at noise that only the key decides", async () => {
    const statesOf = async (seed: number): Promise<Float32Array> => {
      const { scores, states } = walk({ start: undefined as never, key: key(seed) });
      await scores;
      return states[0]!.z;
    };
    expect(await statesOf(1)).toEqual(await statesOf(1));
    expect(await statesOf(1)).not.toEqual(await statesOf(2));
  });
});
