import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { equiProbability, uniformLogSigma, uniformSigma } from "./boundaries.ts";
import { logNormalNoise } from "./noise.ts";
import { partition } from "./partition.ts";
import { precondition } from "./preconditioning.ts";
import { equiProbabilityGrid, karrasGrid } from "./schedule.ts";

interface Golden {
  readonly partitions: readonly {
    readonly blocks: number;
    readonly sigmaMin: number;
    readonly sigmaMax: number;
    readonly pMean: number;
    readonly pStd: number;
    readonly equiProbability: readonly number[];
    readonly uniformSigma: readonly number[];
    readonly uniformLogSigma: readonly number[];
    readonly overlap: { readonly gamma: number; readonly clampedRanges: readonly (readonly number[])[] };
  }[];
  readonly samplingGrids: readonly {
    readonly steps: number;
    readonly equiProbability: readonly number[];
    readonly karras: readonly number[];
  }[];
  readonly preconditioning: readonly Readonly<Record<"sigma" | "cSkip" | "cOut" | "cIn" | "cNoise" | "weight", number>>[];
}

const path = resolve(process.env.DBLOCKS_GOLDEN ?? "../shared/golden", "partition.json");
const golden: Golden | undefined = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;

function expectClose(found: readonly number[], expected: readonly number[]): void {
  expect(found.length).toBe(expected.length);
  const errors = found.map((value, i) => (value === expected[i] ? 0 : Math.abs(value / expected[i]! - 1)));
  expect(Math.max(...errors), `found ${found.join(", ")}, expected ${expected.join(", ")}`).toBeLessThan(1e-9);
}

// Made by SciPy in float64; its boundaries ascend, the last block comes first.
describe.skipIf(!golden)(`golden values of ${path} (skipped where the file is missing)`, () => {
  test.each(golden?.partitions ?? [])("partitions into $blocks of [$sigmaMin, $sigmaMax]", (expected) => {
    const { blocks, sigmaMin, sigmaMax, pMean, pStd } = expected;
    const noise = logNormalNoise({ sigmaMin, sigmaMax, pMean, pStd });
    expectClose(equiProbability(blocks, noise).toReversed(), expected.equiProbability);
    expectClose(uniformSigma(blocks, noise).toReversed(), expected.uniformSigma);
    expectClose(uniformLogSigma(blocks, noise).toReversed(), expected.uniformLogSigma);
    const { trainingRanges } = partition({ numBlocks: blocks, noise, overlap: expected.overlap.gamma });
    expectClose(trainingRanges.toReversed().flat(), expected.overlap.clampedRanges.flat());
  });

  test.each(golden?.samplingGrids ?? [])("grids of $steps steps", (expected) => {
    expectClose(equiProbabilityGrid(logNormalNoise(), expected.steps), expected.equiProbability);
    expectClose(karrasGrid(logNormalNoise(), expected.steps), expected.karras);
  });

  test.each(golden?.preconditioning ?? [])("preconditioning at sigma $sigma", ({ sigma, cSkip, cOut, cIn, cNoise, weight }) => {
    const found = precondition(sigma, { sigmaData: 0.5 });
    expectClose([found.cSkip, found.cOut, found.cIn, found.cNoise, found.lossWeight], [cSkip, cOut, cIn, cNoise, weight]);
  });
});
