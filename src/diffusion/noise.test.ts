import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PartitionError } from "../errors.ts";
import { fold, key } from "../random.ts";
import { cumulative, edmNoise, logNormalNoise, type SigmaRange, sampleSigmas, sigmaQuantile } from "./noise.ts";

const aNoise = fc
  .record({
    pMean: fc.double({ min: -3, max: 2, noNaN: true }),
    pStd: fc.double({ min: 0.5, max: 3, noNaN: true }),
    below: fc.double({ min: 0.5, max: 5, noNaN: true }),
    above: fc.double({ min: 0.5, max: 5, noNaN: true }),
  })
  .map(({ pMean, pStd, below, above }) =>
    logNormalNoise({ pMean, pStd, sigmaMin: Math.exp(pMean - below * pStd), sigmaMax: Math.exp(pMean + above * pStd) }),
  );
const aShare = fc.double({ min: 0, max: 1, noNaN: true });

function sample(range: SigmaRange, seed: number, count: number, stratified = false): Float32Array {
  const out = new Float32Array(count);
  sampleSigmas(edmNoise, range, key(seed), out, { stratified });
  return out;
}

describe("logNormalNoise", () => {
  test("replaces the constants that are given", () => {
    expect(logNormalNoise()).toEqual(edmNoise);
    expect(logNormalNoise({ pMean: -0.5, sigmaMax: 50 })).toEqual({ ...edmNoise, pMean: -0.5, sigmaMax: 50 });
  });

  test.each([
    { sigmaMin: 0 },
    { sigmaMin: 90 },
    { sigmaMax: Number.POSITIVE_INFINITY },
    { pStd: 0 },
    { pMean: Number.NaN },
    { sigmaData: -1 },
    { pMean: -50 },
  ])("%o is refused", (overrides) => {
    expect(() => logNormalNoise(overrides)).toThrow(PartitionError);
  });
});

describe("cumulative and sigmaQuantile", () => {
  test("undo each other, and stay in the range", () => {
    fc.assert(
      fc.property(aNoise, aShare, (noise, u) => {
        const sigma = sigmaQuantile(noise, u);
        expect(sigma).toBeGreaterThanOrEqual(noise.sigmaMin);
        expect(sigma).toBeLessThanOrEqual(noise.sigmaMax);
        expect(Math.abs(cumulative(noise, sigma) - u)).toBeLessThan(1e-12);
      }),
    );
  });

  test("rise together, but for the rounding of shares that nearly agree", () => {
    fc.assert(
      fc.property(aNoise, aShare, aShare, (noise, u, v) => {
        expect(sigmaQuantile(noise, Math.min(u, v))).toBeLessThanOrEqual(sigmaQuantile(noise, Math.max(u, v)) * (1 + 1e-14));
      }),
    );
  });

  test("0 and 1 are the ends of the range; shares outside are refused", () => {
    expect(sigmaQuantile(edmNoise, 0)).toBeCloseTo(0.002, 15);
    expect(sigmaQuantile(edmNoise, 1)).toBeCloseTo(80, 12);
    expect([0, 0.002, 80, 1000].map((sigma) => cumulative(edmNoise, sigma))).toEqual([0, 0, 1, 1]);
    for (const u of [-0.1, 1.1, Number.NaN]) expect(() => sigmaQuantile(edmNoise, u)).toThrow(PartitionError);
  });

  // scipy: norm.sf((log([1, 2, 10]) + 1.2) / 1.2) = 0.158655, 0.057326, 0.001757; cutting the range changes them by less than 4e-6.
  test("the shares of noise above 1, 2 and 10", () => {
    expect(1 - cumulative(edmNoise, 1)).toBeCloseTo(0.158655, 5);
    expect(1 - cumulative(edmNoise, 2)).toBeCloseTo(0.057326, 5);
    expect(1 - cumulative(edmNoise, 10)).toBeCloseTo(0.001757, 5);
  });
});

describe("sampleSigmas", () => {
  test("stays in the range and follows the truncated distribution", () => {
    for (const [low, high] of [
      [0.002, 80],
      [0.505041, 80],
      [0.002, 0.179632],
      [10, 80],
    ] as const) {
      const sigmas = sample([low, high], 1, 50_000);
      const [from, to] = [cumulative(edmNoise, low), cumulative(edmNoise, high)];
      const shares = [...sigmas].map((sigma) => (cumulative(edmNoise, sigma) - from) / (to - from)).sort((a, b) => a - b);
      const distance = Math.max(...shares.map((share, i) => Math.abs(share - (i + 0.5) / shares.length)));
      expect(distance).toBeLessThan(2 / Math.sqrt(shares.length)); // Kolmogorov-Smirnov, p = 7e-4
      expect(sigmas.every((sigma) => sigma >= Math.fround(low) && sigma <= Math.fround(high))).toBe(true);
    }
  });

  test("stratified: one sigma in each part of equal probability, in random order", () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 2, max: 64 }), (seed, count) => {
        const [low, high] = [0.179632, 0.505041];
        const [from, to] = [cumulative(edmNoise, low), cumulative(edmNoise, high)];
        const parts = [...sample([low, high], seed, count, true)].map(
          (sigma) => ((cumulative(edmNoise, sigma) - from) / (to - from)) * count,
        );
        // float32 may round a sigma over the edge of its part
        for (const [i, part] of parts.sort((a, b) => a - b).entries()) expect(Math.abs(part - (i + 0.5))).toBeLessThan(0.5 + 1e-4);
      }),
    );
  });

  test("stratified: every sample meets every part equally often", () => {
    const totals = new Float64Array(8);
    const rounds = 4000;
    for (let round = 0; round < rounds; round++) {
      const out = new Float32Array(8);
      sampleSigmas(edmNoise, [0.002, 80], fold(key("rounds"), round), out, { stratified: true });
      for (const [i, sigma] of out.entries()) totals[i]! += cumulative(edmNoise, sigma);
    }
    for (const total of totals) expect(Math.abs(total / rounds - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / rounds));
  });

  test.each([false, true])("is a function of the key (stratified: %s)", (stratified) => {
    expect(sample([0.1, 1], 5, 32, stratified)).toEqual(sample([0.1, 1], 5, 32, stratified));
    expect(sample([0.1, 1], 5, 32, stratified)).not.toEqual(sample([0.1, 1], 6, 32, stratified));
  });

  test.each([[[0, 1]], [[2, 1]], [[1, Number.POSITIVE_INFINITY]], [[Number.NaN, 1]]])("the range %o is refused", (range) => {
    expect(() => sample(range as unknown as SigmaRange, 0, 1)).toThrow(PartitionError);
  });
});
