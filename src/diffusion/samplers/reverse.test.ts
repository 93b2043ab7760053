import { describe, expect, test } from "vitest";
import { PartitionError } from "../../errors.ts";
import { fold, key, normal } from "../../random.ts";
import { edmNoise, logNormalNoise } from "../noise.ts";
import { karrasGrid } from "../schedule.ts";
import { type ReverseOptions, reverse, type SamplerName, samplers, withChurn } from "./index.ts";

type Denoise = ReverseOptions<Float32Array, Float32Array>["estimate"];
const names = Object.keys(samplers) as SamplerName[];

/**
 * Data N(μ, s²) in each coordinate. The best denoiser is μ + s²/(s² + σ²)(z − μ), and the ODE has the solution z(σ) =
 * μ + (z₀ − μ) √((s² + σ²)/(s² + σ₀²)). In float64 behind a float32 interface the errors of fine grids would be
 * rounding: values are kept large by μ = 0 and a wide z₀.
 */
const [mean, deviation] = [0.7, 0.5];
const gaussian: Denoise = (z, sigma) => {
  const share = deviation ** 2 / (deviation ** 2 + sigma ** 2);
  return z.map((value) => mean + share * (value - mean));
};
const exact = (z: number, from: number, to: number): number =>
  mean + (z - mean) * Math.sqrt((deviation ** 2 + to ** 2) / (deviation ** 2 + from ** 2));

/** The order of convergence: how the error falls with the number of steps, by least squares in logarithms. */
async function slope(sampler: SamplerName): Promise<number> {
  const noise = logNormalNoise({ sigmaMin: 0.1, sigmaMax: 10 });
  const points: [number, number][] = [];
  for (const steps of [16, 24, 36, 54]) {
    const grid = karrasGrid(noise, steps + 1);
    const end = await reverse(Float32Array.of(40), { sampler: samplers[sampler](), levels: grid, estimate: gaussian });
    points.push([Math.log(steps), Math.log(Math.abs(end[0]! - exact(40, 10, 0.1)))]);
  }
  const centre = [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis]!, 0) / points.length) as [number, number];
  const sums = points.map(([x, y]) => [(x - centre[0]) * (y - centre[1]), (x - centre[0]) ** 2] as const);
  return -sums.reduce((sum, [xy]) => sum + xy, 0) / sums.reduce((sum, [, xx]) => sum + xx, 0);
}

describe("samplers", () => {
  test.each([
    ["euler", 1],
    ["heun", 2],
    ["dpm++2m", 2],
  ] as const)("%s converges with order %i on Gaussian data", async (sampler, order) => {
    expect(Math.abs((await slope(sampler)) / order - 1)).toBeLessThan(0.15);
  });

  test.each(names)("%s ends at the data with a perfect denoiser, and at its estimate for sigma 0", async (sampler) => {
    const y = Float32Array.of(1, -2, 0.5);
    const grid = [...karrasGrid(edmNoise, 6), 0];
    const end = await reverse(
      y.map((value, i) => value + 80 * (i - 1)),
      { sampler: samplers[sampler](), levels: grid, estimate: () => y },
    );
    for (const [i, value] of end.entries()) expect(value).toBeCloseTo(y[i]!, 5);
  });

  test("evaluations: one for a step, two for Heun's except the last to 0", async () => {
    const asked: Record<string, number[]> = {};
    for (const sampler of names) {
      const denoise: Denoise = (z, sigma) => {
        asked[sampler] = [...(asked[sampler] ?? []), sigma];
        return z.map(() => 0);
      };
      await reverse(Float32Array.of(1), { sampler: samplers[sampler](), levels: [4, 2, 1, 0], estimate: denoise });
    }
    expect(asked).toEqual({ euler: [4, 2, 1], heun: [4, 2, 2, 1, 1], "dpm++2m": [4, 2, 1] });
  });

  test.each([
    ["euler", 0.2],
    ["heun", 0.05],
  ] as const)("with churn %s gives Gaussian data back: mean and deviation", async (sampler, tolerance) => {
    const count = 20_000;
    const draw = (name: string): Float32Array => {
      const out = new Float32Array(count);
      normal(fold(key("churn"), name), out);
      return out;
    };
    const grid = [...karrasGrid(edmNoise, 40), 0];
    const start = draw("start").map((x) => 80 * x);
    const churn = { amount: 20, noise: (step: number) => draw(`step ${step}`) };
    const end = await reverse(start, { sampler: withChurn(samplers[sampler](), churn), levels: grid, estimate: gaussian });
    const average = end.reduce((sum, x) => sum + x, 0) / count;
    const spread = Math.sqrt(end.reduce((sum, x) => sum + (x - average) ** 2, 0) / count);
    expect(average).toBeCloseTo(mean, 1);
    expect(Math.abs(spread / deviation - 1)).toBeLessThan(tolerance);
    const still = await reverse(start, { sampler: samplers[sampler](), levels: grid, estimate: gaussian });
    expect(end).not.toEqual(still);
  });

  test.each([[[1, 2]], [[2, 1, 1]], [[1, -1]], [[-1]], [[]]])("refuses the levels %j", async (levels) => {
    await expect(reverse(Float32Array.of(1), { sampler: samplers.euler(), levels, estimate: gaussian })).rejects.toThrow(PartitionError);
  });

  test("one level is no step: the start itself, without an evaluation", async () => {
    const start = Float32Array.of(3);
    const estimate = (): never => {
      throw new Error("not expected");
    };
    expect(await reverse(start, { sampler: samplers.heun(), levels: [2], estimate })).toBe(start);
  });

  test("evaluations are counted from 0, and steps are reported with the level and the estimate they started from", async () => {
    const counts: number[] = [];
    const steps: unknown[] = [];
    await reverse(Float32Array.of(1), {
      sampler: samplers.heun(),
      levels: [4, 2, 0],
      estimate: (z, sigma, evaluation) => {
        counts.push(evaluation);
        return z.map(() => sigma);
      },
      onStep: ({ step, level, next, estimate }) => void steps.push([step, level, next, estimate[0]]),
    });
    expect(counts).toEqual([0, 1, 2]);
    expect(steps).toEqual([
      [0, 4, 2, 4],
      [1, 2, 0, 2],
    ]);
  });

  test.each(names)("%s keeps what is known: it is set before each evaluation, and the step starts from it", async (sampler) => {
    const seen: number[] = [];
    const [known, unknown] = [0.25, -1];
    const end = await reverse(Float32Array.of(40, 40), {
      sampler: samplers[sampler](),
      levels: [8, 4, 2, 1, 0],
      estimate: (z) => {
        seen.push(z[0]!);
        return Float32Array.of(known, unknown);
      },
      constrain: (z) => Float32Array.of(known, z[1]!),
    });
    expect(new Set(seen)).toEqual(new Set([known]));
    expect(end[0]).toBe(known);
    expect(end[1]).toBeCloseTo(unknown, 5);
  });
});
