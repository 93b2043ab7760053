import { describe, expect, test } from "vitest";
import { tinyVit } from "../../test/support/tiny.ts";
import { orthonormalRows } from "../blocks/index.ts";
import { edmNoise, partition } from "../diffusion/index.ts";
import { key, normal } from "../random.ts";
import { type Call, predictionProgram } from "../train/index.ts";
import type { ClassDenoiser } from "./answers.ts";
import { type ClassifyByDenoising, type ClassSampling, classifyByDenoising } from "./classes.ts";

const sampling: ClassSampling = { sampler: "euler", grid: "equi-probability", estimate: "soft", readout: "last" };

describe("classification by denoising", () => {
  const [batchSize, numClasses] = [3, 4];
  const architecture = tinyVit();
  const table = orthonormalRows(numClasses, architecture.width);
  const labels = [2, 0, 3];
  const start = new Float32Array(batchSize * architecture.width);
  normal(key("start"), start);
  const cut = partition({ numBlocks: 3, noise: edmNoise });

  const program = (name: string) =>
    predictionProgram<string, string>(
      name,
      () => ({}),
      () => ({}),
    );
  const model: ClassDenoiser = {
    numClasses,
    width: architecture.width,
    partition: cut,
    table: program("targets") as ClassDenoiser["table"],
    estimates: [0, 1, 2].map((b) => program(`block-${b}`)) as unknown as ClassDenoiser["estimates"],
  };

  /** Stands in for a network that knows the class: certain, and telling which block was asked. */
  function classify(changes: Partial<ClassifyByDenoising> = {}): {
    scores: Promise<Float32Array>;
    asked: string[];
    states: { sigma: number; z: Float32Array }[];
  } {
    const asked: string[] = [];
    const states: { sigma: number; z: Float32Array }[] = [];
    const call = (async ({ name }: { readonly name: string }) => {
      if (name === "targets") return { table };
      asked.push(name);
      const evidence = new Float32Array(batchSize * numClasses).fill(asked.length);
      return {
        evidence,
        logits: Float32Array.from(labels.flatMap((label) => Array.from({ length: numClasses }, (_, k) => (k === label ? 1000 : 0)))),
      };
    }) as unknown as Call;
    const scores = classifyByDenoising({
      model,
      call,
      input: new Float32Array(0),
      batchSize,
      key: key(0),
      sampling,
      start,
      onEvaluation: ({ sigma, z }) => states.push({ sigma, z }),
      ...changes,
    });
    return { scores, asked, states };
  }

  test.each(["soft", "hard", "sampled"] as const)(
    "a perfect denoiser leads along the straight line from the start to the target, by the %s estimate",
    async (kind) => {
      const { scores, states } = classify({ sampling: { ...sampling, estimate: kind, numSteps: 6 } });
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
    const { scores, asked } = classify();
    await scores;
    expect(asked).toEqual(["block-0", "block-1", "block-2"]);
    const longer = classify({ levels: [80, 1, 0.3, 0.2, 0.01] });
    await longer.scores;
    expect(longer.asked).toEqual(["block-0", "block-0", "block-1", "block-1", "block-2"]);
  });

  test("the answer is the last evaluation's, or the mean of what each evaluation says of the input", async () => {
    expect((await classify().scores)[2]).toBe(1000);
    expect([...(await classify({ sampling: { ...sampling, readout: "evidence" } }).scores)]).toEqual(new Array(12).fill(2));
  });

  test("without a start of its own, the reverse process begins at noise that only the key decides", async () => {
    const statesOf = async (seed: number): Promise<Float32Array> => {
      const { scores, states } = classify({ start: undefined as never, key: key(seed) });
      await scores;
      return states[0]!.z;
    };
    expect(await statesOf(1)).toEqual(await statesOf(1));
    expect(await statesOf(1)).not.toEqual(await statesOf(2));
  });
});
