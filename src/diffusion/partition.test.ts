import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PartitionError } from "../errors.ts";
import { equalLoss, equiProbability, uniformLogSigma, uniformSigma } from "./boundaries.ts";
import { cumulative, edmNoise, logNormalNoise, sigmaQuantile } from "./noise.ts";
import {
  blockOfSigma,
  type Partition,
  type PartitionStrategy,
  partition,
  partitionFromBoundaries,
  partitionFromJSON,
  partitionToJSON,
} from "./partition.ts";
import { equiProbabilityGrid } from "./schedule.ts";

const aNumBlocks = fc.integer({ min: 1, max: 24 });
const aStrategy = fc.constantFrom<PartitionStrategy>("equi-probability", "uniform", "uniform-log");
const aPartition: fc.Arbitrary<Partition> = fc
  .record({ numBlocks: aNumBlocks, strategy: aStrategy, overlap: fc.double({ min: 0, max: 0.2, noNaN: true }) })
  .map((options) => partition({ ...options, noise: edmNoise }));

describe("boundaries", () => {
  // scipy: exp(-1.2 + 1.2 * norm.ppf(linspace(norm.cdf(hi), norm.cdf(lo), 4))), hi, lo = (log([80, 0.002]) + 1.2) / 1.2
  test("equi-probability, B = 3, EDM noise", () => {
    const [top, upper, lower, bottom] = equiProbability(3, edmNoise);
    expect([top, bottom]).toEqual([80, 0.002]);
    expect(upper).toBeCloseTo(0.5050414640313, 11);
    expect(lower).toBeCloseTo(0.1796324721116, 11);
  });

  test("equi-probability ranges hold equal shares of the noise", () => {
    fc.assert(
      fc.property(aNumBlocks, (numBlocks) => {
        for (const [low, high] of partition({ numBlocks, noise: edmNoise }).ranges) {
          expect(cumulative(edmNoise, high) - cumulative(edmNoise, low)).toBeCloseTo(1 / numBlocks, 12);
        }
      }),
    );
  });

  test("a far upper tail is cut as finely as any other range", () => {
    const noise = logNormalNoise({ pMean: 0, pStd: 1, sigmaMin: 1, sigmaMax: 1e5 }); // ln(sigmaMax) / pStd = 11.5: Phi is 1 in float64
    for (const [low, high] of partition({ numBlocks: 8, noise }).ranges) {
      expect(cumulative(noise, high) - cumulative(noise, low)).toBeCloseTo(1 / 8, 12);
    }
  });

  test("uniform ranges have equal widths, in sigma or in its logarithm", () => {
    const differences = (values: readonly number[]) => values.slice(1).map((value, i) => values[i]! - value);
    for (const width of differences(uniformSigma(6, edmNoise))) expect(width).toBeCloseTo(79.998 / 6, 10);
    for (const width of differences(uniformLogSigma(6, edmNoise).map(Math.log))) expect(width).toBeCloseTo(Math.log(40_000) / 6, 10);
  });

  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])("%d blocks are refused", (numBlocks) => {
    expect(() => equiProbability(numBlocks, edmNoise)).toThrow(PartitionError);
    expect(() => partition({ numBlocks, strategy: "uniform", noise: edmNoise })).toThrow(PartitionError);
  });
});

describe("partition", () => {
  test("ranges of equal loss hold equal shares of loss times noise; where it is the same everywhere, those of equal probability", () => {
    const numBlocks = 4;
    const equal = equiProbability(numBlocks, edmNoise);
    for (const [i, sigma] of equalLoss(numBlocks, edmNoise, [{ sigma: 1, loss: 3 }]).entries()) expect(sigma / equal[i]!).toBeCloseTo(1, 9);
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.record({ percent: fc.integer({ min: 1, max: 99 }), loss: fc.double({ min: 0.01, max: 10, noNaN: true }) }), {
          selector: ({ percent }) => percent, // a jump between two points at the same level is no sum of small pieces
          minLength: 1,
          maxLength: 6,
        }),
        (points) => {
          const losses = points.map(({ percent, loss }) => ({ sigma: sigmaQuantile(edmNoise, percent / 100), loss }));
          const shares = equalLoss(numBlocks, edmNoise, losses).map((sigma) => cumulative(edmNoise, sigma));
          const sorted = losses.map(({ sigma, loss }) => [cumulative(edmNoise, sigma), loss] as const).sort(([a], [b]) => a - b);
          const line = [[0, sorted[0]![1]], ...sorted, [1, sorted.at(-1)![1]]] as const;
          const at = (u: number): number => {
            const i = Math.min(
              line.length - 1,
              Math.max(
                1,
                line.findIndex(([share]) => share >= u),
              ),
            );
            const [[from, a], [to, b]] = [line[i - 1]!, line[i]!];
            return to === from ? b : a + ((b - a) * (u - from)) / (to - from);
          };
          const area = (from: number, to: number): number => {
            let sum = 0;
            for (let k = 0; k < 4000; k++) sum += (at(from + ((k + 0.5) / 4000) * (to - from)) * (to - from)) / 4000;
            return sum;
          };
          const whole = area(0, 1);
          for (let b = 0; b < numBlocks; b++) expect(Math.abs(area(shares[b + 1]!, shares[b]!) / whole - 1 / numBlocks)).toBeLessThan(5e-3);
        },
      ),
      { numRuns: 30 },
    );
    for (const losses of [[], [{ sigma: 1, loss: 0 }], [{ sigma: 1, loss: Number.NaN }], [{ sigma: -1, loss: 1 }]])
      expect(() => equalLoss(2, edmNoise, losses)).toThrow(expect.objectContaining({ code: "badLosses" }));
  });

  test("the ranges descend and cover the noise range without gaps", () => {
    fc.assert(
      fc.property(aPartition, ({ boundaries, ranges }) => {
        expect([boundaries[0], boundaries.at(-1)]).toEqual([80, 0.002]);
        for (const [block, [low, high]] of ranges.entries()) {
          expect(low).toBeLessThan(high);
          expect([low, high]).toEqual([boundaries[block + 1], boundaries[block]]);
        }
      }),
    );
  });

  test("training ranges contain the ranges, stay in the noise range, and widen them by the overlap in ln(sigma)", () => {
    fc.assert(
      fc.property(aPartition, ({ ranges, trainingRanges, overlap }) => {
        for (const [block, [low, high]] of ranges.entries()) {
          const margin = overlap * Math.log(high / low);
          const [from, to] = trainingRanges[block]!;
          expect(from <= low && high <= to).toBe(true);
          expect(Math.log(from)).toBeCloseTo(Math.max(Math.log(low) - margin, Math.log(0.002)), 10);
          expect(Math.log(to)).toBeCloseTo(Math.min(Math.log(high) + margin, Math.log(80)), 10);
        }
      }),
    );
  });

  test("overlap 0 trains on the ranges themselves", () => {
    const { ranges, trainingRanges } = partition({ numBlocks: 4, overlap: 0, noise: edmNoise });
    expect(trainingRanges).toEqual(ranges);
  });

  test("one block owns the whole range", () => {
    expect(partition({ numBlocks: 1, noise: edmNoise })).toMatchObject({
      boundaries: [80, 0.002],
      ranges: [[0.002, 80]],
      trainingRanges: [[0.002, 80]],
    });
  });

  test("unknown strategies and impossible overlaps are refused", () => {
    expect(() => partition({ numBlocks: 2, strategy: "toString" as PartitionStrategy, noise: edmNoise })).toThrow(
      /unknown.*equi-probability/,
    );
    for (const overlap of [-0.01, 1.01, Number.NaN])
      expect(() => partition({ numBlocks: 2, overlap, noise: edmNoise })).toThrow(PartitionError);
  });
});

describe("blockOfSigma", () => {
  const three = partition({ numBlocks: 3, noise: edmNoise });

  test("the inside of a range belongs to its block", () => {
    fc.assert(
      fc.property(aPartition, fc.double({ min: 0.001, max: 0.999, noNaN: true }), (cut, share) => {
        for (const [block, [low, high]] of cut.ranges.entries()) {
          expect(blockOfSigma(cut, low * (high / low) ** share)).toBe(block);
        }
      }),
    );
  });

  test("a boundary belongs to the noisier block, exact or rounded to float32", () => {
    fc.assert(
      fc.property(aPartition, (cut) => {
        for (const [i, sigma] of cut.boundaries.slice(1, -1).entries()) {
          for (const rounded of [sigma, Math.fround(sigma), sigma * (1 - 2e-7), sigma * (1 + 2e-7)])
            expect(blockOfSigma(cut, rounded)).toBe(i);
          expect(blockOfSigma(cut, sigma * (1 - 1e-5))).toBe(i + 1);
        }
      }),
    );
  });

  test("sigmas beyond the range go to the nearest block", () => {
    expect([1000, 80.001, 80, 0.002, 0.0019, 0].map((sigma) => blockOfSigma(three, sigma))).toEqual([0, 0, 0, 2, 2, 2]);
  });

  test.each([-1, Number.NaN])("sigma %d is refused", (sigma) => {
    expect(() => blockOfSigma(three, sigma)).toThrow(PartitionError);
  });

  // Comparing the rounded grid with the exact boundaries would give 0, 0, 2, 2: the middle block never runs.
  test("T = B + 1 points lie on the boundaries, and their float32 roundings still visit blocks 0, 0, 1, 2", () => {
    const grid = Float32Array.from(equiProbabilityGrid(edmNoise, 4));
    expect([...grid].map((sigma) => blockOfSigma(three, sigma))).toEqual([0, 0, 1, 2]);
    expect([...grid].map((sigma) => three.boundaries.slice(1, -1).filter((boundary) => sigma < boundary).length)).toEqual([0, 0, 2, 2]);
  });

  test("T = B points visit each block once, T = B + 1 the first one twice", () => {
    fc.assert(
      fc.property(aNumBlocks, (numBlocks) => {
        const cut = partition({ numBlocks, noise: edmNoise });
        const visit = (numSteps: number) =>
          [...Float32Array.from(equiProbabilityGrid(edmNoise, numSteps))].map((s) => blockOfSigma(cut, s));
        expect(visit(numBlocks)).toEqual(cut.ranges.map((_, block) => block));
        expect(visit(numBlocks + 1)).toEqual([0, ...cut.ranges.map((_, block) => block)]);
      }),
    );
  });
});

describe("partitionFromBoundaries", () => {
  test("keeps the boundaries", () => {
    expect(partitionFromBoundaries({ boundaries: [80, 1, 0.1, 0.002], noise: edmNoise, overlap: 0 })).toMatchObject({
      strategy: "custom",
      ranges: [
        [1, 80],
        [0.1, 1],
        [0.002, 0.1],
      ],
    });
  });

  test.each([
    ["too few", [80]],
    ["ascending", [0.002, 1, 80]],
    ["equal neighbours", [80, 1, 1, 0.002]],
    ["neighbours that no float32 could tell apart", [80, 1, 0.9999999, 0.002]],
    ["not a number", [80, Number.NaN, 0.002]],
    ["negative", [80, 1, -1]],
    ["another range than the noise's", [40, 1, 0.002]],
    ["short of sigmaMin", [80, 1, 0.01]],
  ])("refused: %s", (_, boundaries) => {
    expect(() => partitionFromBoundaries({ boundaries, noise: edmNoise })).toThrow(PartitionError);
  });
});

describe("JSON", () => {
  test("a partition comes back the same through its text", () => {
    fc.assert(
      fc.property(aPartition, (cut) => {
        expect(partitionFromJSON(JSON.parse(JSON.stringify(partitionToJSON(cut))))).toEqual(cut);
      }),
    );
  });

  test("extra fields are allowed, so that a run can store more beside", () => {
    const cut = partition({ numBlocks: 3, noise: edmNoise });
    expect(partitionFromJSON({ ...partitionToJSON(cut), layers: [4, 4, 4] })).toEqual(cut);
  });

  test.each([
    ["nothing", null],
    ["no boundaries", { boundaries: undefined }],
    ["text for a number", { overlap: "0.05" }],
    ["an unknown strategy", { strategy: "constructor" }],
    ["noise without pStd", { noise: { pMean: -1.2, sigmaMin: 0.002, sigmaMax: 80, sigmaData: 0.5 } }],
    ["boundaries of another range", { boundaries: [40, 0.002] }],
  ])("refused: %s", (_, change) => {
    const json = change && { ...partitionToJSON(partition({ numBlocks: 3, noise: edmNoise })), ...change };
    expect(() => partitionFromJSON(json)).toThrow(PartitionError);
  });
});

test.each(["null", "[]", '{"a":1}', "1"])("partitionFromJSON takes nothing from noise.__proto__ = %s", (value) => {
  const stored = partition({ numBlocks: 2, strategy: "equi-probability", noise: edmNoise });
  const json = JSON.stringify(partitionToJSON(stored)).replace('"noise":{', `"noise":{"__proto__":${value},`);
  expect(partitionFromJSON(JSON.parse(json))).toEqual(stored);
});
