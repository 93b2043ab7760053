import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PartitionError } from "../errors.ts";
import { cumulative, edmNoise, type LogNormalNoise } from "./noise.ts";
import { blockOfSigma, partition } from "./partition.ts";
import { entryLevel, equiProbabilityGrid, karrasGrid, samplingLevels } from "./schedule.ts";

const grids: [string, (noise: LogNormalNoise, numSteps: number) => readonly number[]][] = [
  ["equiProbabilityGrid", equiProbabilityGrid],
  ["karrasGrid", karrasGrid],
];

describe.each(grids)("%s", (_, grid) => {
  test("T points, strictly descending, with exact ends", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 200 }), (numSteps) => {
        const sigmas = grid(edmNoise, numSteps);
        expect(sigmas.length).toBe(numSteps);
        expect([sigmas[0], sigmas.at(-1)]).toEqual([80, 0.002]);
        expect(sigmas.every((sigma, i) => i === 0 || sigma < sigmas[i - 1]!)).toBe(true);
      }),
    );
  });

  test("one step is an evaluation at sigmaMax", () => {
    expect(grid(edmNoise, 1)).toEqual([80]);
  });

  test.each([0, 1.5, -3, Number.NaN])("%d steps are refused", (numSteps) => {
    expect(() => grid(edmNoise, numSteps)).toThrow(PartitionError);
  });
});

test("equi-probability steps hold equal shares of the noise", () => {
  const shares = equiProbabilityGrid(edmNoise, 50).map((sigma) => cumulative(edmNoise, sigma));
  for (const [i, share] of shares.entries()) expect(share).toBeCloseTo(1 - i / 49, 12);
});

test("rho 1 gives equal steps, and rho must be positive", () => {
  const sigmas = karrasGrid(edmNoise, 5, 1);
  for (let i = 1; i < 5; i++) expect(sigmas[i - 1]! - sigmas[i]!).toBeCloseTo(79.998 / 4, 10);
  expect(() => karrasGrid(edmNoise, 5, 0)).toThrow(PartitionError);
});

// Which grid is used decides how often each block runs.
test.each([
  [2, [25, 25], [35, 15]],
  [3, [17, 16, 17], [33, 4, 13]],
  [4, [13, 12, 12, 13], [32, 3, 3, 12]],
  [6, [9, 8, 8, 8, 8, 9], [30, 3, 2, 2, 2, 11]],
])("50 steps over %d blocks: evaluations of each block", (numBlocks, equi, karras) => {
  const cut = partition({ numBlocks, noise: edmNoise });
  const visits = (sigmas: readonly number[]) =>
    cut.ranges.map((_, block) => sigmas.filter((sigma) => blockOfSigma(cut, sigma) === block).length);
  expect(visits(equiProbabilityGrid(edmNoise, 50))).toEqual(equi);
  expect(visits(karrasGrid(edmNoise, 50))).toEqual(karras);
});

describe("samplingLevels", () => {
  test.each([1, 2, 3, 4, 6])("with %d blocks, as many steps as blocks ask each block exactly once, in order", (numBlocks) => {
    const cut = partition({ numBlocks, noise: edmNoise });
    const blocks = Array.from({ length: numBlocks }, (_, b) => b);
    for (const grid of ["equi-probability", "block-entry"] as const) {
      expect(samplingLevels({ grid }, cut).map((sigma) => blockOfSigma(cut, sigma))).toEqual(blocks);
    }
  });

  test("runs from sigmaMax down, in as many steps as asked", () => {
    const cut = partition({ numBlocks: 3, noise: edmNoise });
    for (const grid of ["equi-probability", "karras"] as const) {
      const sigmas = samplingLevels({ grid, numSteps: 7 }, cut);
      expect(sigmas).toHaveLength(7);
      expect([sigmas[0], sigmas[6]]).toEqual([80, 0.002]);
    }
  });

  test("a block's entry level is its own even after rounding to float32", () => {
    const cut = partition({ numBlocks: 5, noise: edmNoise });
    for (const [b, range] of cut.ranges.entries()) expect(blockOfSigma(cut, Math.fround(entryLevel(range, b)))).toBe(b);
  });
});
