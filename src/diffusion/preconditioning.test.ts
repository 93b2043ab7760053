import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PartitionError } from "../errors.ts";
import { ddpmLogSigmas, ddpmTime } from "./ddpm.ts";
import { precondition, preconditionBatch } from "./preconditioning.ts";

const aSigma = fc.double({ min: 1e-3, max: 100, noNaN: true });

describe("precondition", () => {
  test("input and target of the network have unit variance", () => {
    fc.assert(
      fc.property(aSigma, aSigma, (sigma, sigmaData) => {
        const { cIn, cSkip, cOut, lossWeight } = precondition(sigma, { sigmaData });
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
    expect(() => precondition(sigma, { sigmaData })).toThrow(PartitionError);
  });

  test("a batch is its samples, rounded to float32", () => {
    const sigmas = Float32Array.of(0.002, 0.3, 1, 80);
    const batch = preconditionBatch(sigmas, { sigmaData: 0.5 });
    for (const name of ["cSkip", "cOut", "cIn", "cNoise", "lossWeight"] as const) {
      expect(batch[name]).toEqual(sigmas.map((sigma) => precondition(sigma, { sigmaData: 0.5 })[name]));
    }
  });
});

test("DDPM's scalings: at each step the level of its schedule, and a perfect network finds the target", () => {
  expect(ddpmLogSigmas).toHaveLength(1000);
  expect(Math.exp(ddpmLogSigmas[0]!)).toBeCloseTo(Math.sqrt(1e-4 / (1 - 1e-4)), 9);
  // numpy: a = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000)); np.sqrt((1 - a) / a)[[499, 999]]
  expect(Math.exp(ddpmLogSigmas[499]!)).toBeCloseTo(3.424136619, 6);
  expect(Math.exp(ddpmLogSigmas[999]!)).toBeCloseTo(157.4072808, 4);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 999 }), fc.double({ min: -3, max: 3, noNaN: true }), aSigma, (t, y, sigma) => {
      expect(ddpmTime(Math.exp(ddpmLogSigmas[t]!))).toBeCloseTo(t, 6);
      const { cSkip, cOut, cIn, cNoise, lossWeight } = precondition(sigma, { sigmaData: 0.5, preconditioning: "ddpm" });
      expect(cSkip * (y + sigma * 1.5) + cOut * 1.5).toBeCloseTo(y, 6);
      expect(cIn ** 2 * (1 + sigma ** 2)).toBeCloseTo(1, 12);
      expect(lossWeight * cOut ** 2).toBeCloseTo(1, 12);
      expect(cNoise).toBeGreaterThanOrEqual(0);
      expect(cNoise).toBeLessThanOrEqual(999);
    }),
  );
});
