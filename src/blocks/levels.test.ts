import { describe, expect, test } from "vitest";
import { edmNoise, levelsOf, partition, precondition } from "../diffusion/index.ts";
import { fold, key } from "../random.ts";
import type { Tensor } from "../tensor/index.ts";
import { drawnLevels } from "./levels.ts";

const cut = partition({ numBlocks: 3, overlap: 0.1, noise: edmNoise });
const batchSize = 64;

/** As a step draws it: every column from the same key, folded with the step's. */
function draw({ source }: Tensor, step: number): Float32Array {
  if (source?.kind !== "random") throw new Error("expected a random tensor");
  const out = new Float32Array(batchSize);
  source.sampler.fill(out, fold(source.key, step));
  return out;
}

describe("drawn levels", () => {
  test.each([0, 1, 2])("block %d draws within its training range, and all of its scalings are of the same sigma", (b) => {
    const [low, high] = cut.trainingRanges[b]!;
    const levels = drawnLevels(key(b), edmNoise, cut.trainingRanges[b]!, batchSize);
    for (const step of [0, 1, 99]) {
      const sigmas = draw(levels.sigma, step);
      for (const [i, sigma] of sigmas.entries()) {
        expect(sigma).toBeGreaterThanOrEqual(Math.fround(low));
        expect(sigma).toBeLessThanOrEqual(Math.fround(high));
        const expected = precondition(sigma, edmNoise);
        for (const name of ["cSkip", "cOut", "cIn", "cNoise", "lossWeight"] as const)
          expect(draw(levels[name], step)[i]).toBe(Math.fround(expected[name]));
      }
      // One stratum for each sample: the median of the draw is that of the range.
      const below = sigmas.filter((sigma) => sigma < Math.sqrt(low * high)).length;
      expect(below).toBeGreaterThan(0);
      expect(below).toBeLessThan(batchSize);
    }
    expect(draw(levels.sigma, 0)).not.toEqual(draw(levels.sigma, 1));
  });
});

test("levels of a batch are the scalings of the sigmas", () => {
  const { sigma, cIn } = levelsOf(Float32Array.of(0.5, 80), { sigmaData: 0.5 });
  expect(sigma).toEqual(Float32Array.of(0.5, 80));
  expect(cIn[0]).toBeCloseTo(Math.SQRT2, 6);
});
