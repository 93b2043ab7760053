import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PartitionError, ShapeError } from "../../errors.ts";
import { edmNoise } from "../noise.ts";
import { karrasGrid } from "../schedule.ts";
import { eulerStep } from "./euler.ts";

const aVector = fc.array(fc.tuple(fc.float({ min: -4, max: 4, noNaN: true }), fc.float({ min: -4, max: 4, noNaN: true })), {
  minLength: 1,
  maxLength: 8,
});
const twoDescendingSigmas = fc
  .tuple(fc.double({ min: 1e-3, max: 80, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }))
  .map(([sigma, share]) => [sigma, sigma * share] as const);

const addNoise = (y: Float32Array, epsilon: Float32Array, sigma: number) => y.map((value, i) => value + sigma * epsilon[i]!);

describe("eulerStep", () => {
  test("with the perfect denoiser lands on y + sigmaNext * eps", () => {
    fc.assert(
      fc.property(aVector, twoDescendingSigmas, (pairs, [sigma, sigmaNext]) => {
        const y = Float32Array.from(pairs, ([value]) => value);
        const epsilon = Float32Array.from(pairs, ([, value]) => value);
        const landed = eulerStep({ z: addNoise(y, epsilon, sigma), denoised: y, sigma, sigmaNext });
        const expected = addNoise(y, epsilon, sigmaNext);
        for (const [i, value] of landed.entries()) expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-6 * (1 + sigma) * 4);
      }),
    );
  });

  test("to sigma 0 returns the denoised, to the same sigma stays", () => {
    const [z, denoised] = [Float32Array.of(3, -2), Float32Array.of(0.1, 0.7)];
    expect(eulerStep({ z, denoised, sigma: 5, sigmaNext: 0 })).toEqual(denoised);
    expect(eulerStep({ z, denoised, sigma: 5, sigmaNext: 5 })).toEqual(z);
  });

  test("takes away noise: the wrong sign would add it", () => {
    const grid = karrasGrid(edmNoise, 10);
    let z = Float32Array.of(80, -80);
    for (let step = 0; step + 1 < grid.length; step++) {
      z = Float32Array.from(eulerStep({ z, denoised: new Float32Array(2), sigma: grid[step]!, sigmaNext: grid[step + 1]! }));
    }
    expect(z[0]).toBeCloseTo(0.002, 8);
    expect(z[1]).toBeCloseTo(-0.002, 8);
  });

  test("changes neither input", () => {
    const [z, denoised] = [Float32Array.of(1), Float32Array.of(2)];
    eulerStep({ z, denoised, sigma: 1, sigmaNext: 0.5 });
    expect([z[0], denoised[0]]).toEqual([1, 2]);
  });

  test("refuses other lengths and steps that do not go down", () => {
    const one = new Float32Array(1);
    expect(() => eulerStep({ z: one, denoised: new Float32Array(2), sigma: 1, sigmaNext: 0 })).toThrow(ShapeError);
    for (const [sigma, sigmaNext] of [
      [1, 2],
      [0, 0],
      [1, -1],
      [Number.NaN, 0],
    ] as const) {
      expect(() => eulerStep({ z: one, denoised: one, sigma, sigmaNext })).toThrow(PartitionError);
    }
  });
});
