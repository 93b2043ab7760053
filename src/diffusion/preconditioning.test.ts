import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PartitionError } from "../errors.ts";
import { precondition, preconditionBatch } from "./preconditioning.ts";

const aSigma = fc.double({ min: 1e-3, max: 100, noNaN: true });

describe("precondition", () => {
  test("input and target of the network have unit variance", () => {
    fc.assert(
      fc.property(aSigma, aSigma, (sigma, sigmaData) => {
        const { cIn, cSkip, cOut, lossWeight } = precondition(sigma, sigmaData);
        expect(cIn ** 2 * (sigma ** 2 + sigmaData ** 2)).toBeCloseTo(1, 12);
        // target (y - cSkip (y + sigma eps)) / cOut
        expect((((1 - cSkip) * sigmaData) ** 2 + (cSkip * sigma) ** 2) / cOut ** 2).toBeCloseTo(1, 9);
        expect(lossWeight * cOut ** 2).toBeCloseTo(1, 12);
      }),
    );
  });

  test.each([
    [0, 0.5],
    [-1, 0.5],
    [Number.NaN, 0.5],
    [Number.POSITIVE_INFINITY, 0.5],
    [1, 0],
  ])("sigma %d with sigmaData %d is refused", (sigma, sigmaData) => {
    expect(() => precondition(sigma, sigmaData)).toThrow(PartitionError);
  });

  test("a batch is its samples, rounded to float32", () => {
    const sigmas = Float32Array.of(0.002, 0.3, 1, 80);
    const batch = preconditionBatch(sigmas, 0.5);
    for (const name of ["cSkip", "cOut", "cIn", "cNoise", "lossWeight"] as const) {
      expect(batch[name]).toEqual(sigmas.map((sigma) => precondition(sigma, 0.5)[name]));
    }
  });
});
