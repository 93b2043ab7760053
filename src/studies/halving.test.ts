import { expect, test } from "vitest";
import { type GridSearch, type GridTrial, successiveHalving } from "./halving.ts";

/** Loss after gradient descent with the rate 2^place on ½ Σ λᵢ wᵢ², from ones; undefined once it has grown without bound. */
function descent(curvatures: readonly number[], place: number, steps: number): number | undefined {
  const loss = curvatures.reduce((sum, curvature) => sum + 0.5 * curvature * (1 - curvature * 2 ** place) ** (2 * steps), 0);
  return Number.isFinite(loss) && loss < 1e30 ? loss : undefined;
}

function search(curvatures: Readonly<Record<string, readonly number[]>>, over: Partial<GridSearch> = {}) {
  const trials: GridTrial[] = [];
  const chosen = successiveHalving({
    systems: Object.keys(curvatures),
    start: [-2, -1, 0, 1, 2],
    shares: [0.25, 0.5, 1],
    has: (place) => Math.abs(place) <= 10,
    measure: async (trial) => {
      trials.push(trial);
      return descent(curvatures[trial.system]!, trial.place, 400 * trial.share);
    },
    ...over,
  });
  return { trials, chosen };
}

// The best rate of gradient descent is 2/(λ_min + λ_max): 1/4 for 1 and 7, 1/64 for 8 and 120, 8 for 1/16 and 3/16.
test("finds the rate at which gradient descent is fastest, also beyond the first grid and where most rates diverge", async () => {
  const { chosen } = search({ mild: [1, 7], steep: [8, 120], flat: [1 / 16, 3 / 16] });
  expect(await chosen).toEqual({
    mild: { place: -2, isAtEdge: false },
    steep: { place: -6, isAtEdge: false },
    flat: { place: 3, isAtEdge: false },
  });
});

test("all systems make as many trials of each length, and no trial twice", async () => {
  const { chosen, trials } = search({ mild: [1, 7], steep: [8, 120], flat: [1 / 16, 3 / 16] });
  await chosen;
  const count = (system: string, share: number): number => trials.filter((one) => one.system === system && one.share === share).length;
  for (const share of [0.25, 0.5, 1]) {
    expect(count("mild", share)).toBeGreaterThan(0);
    expect([count("steep", share), count("flat", share)]).toEqual([count("mild", share), count("mild", share)]);
  }
  expect(new Set(trials.map((one) => JSON.stringify(one))).size).toBe(trials.length);
});

test("five values cost five quarters, three halves and two whole trainings where the best lies within", async () => {
  const { chosen, trials } = search({ one: [1, 3] });
  expect(await chosen).toEqual({ one: { place: -1, isAtEdge: false } });
  expect([0.25, 0.5, 1].map((share) => trials.filter((one) => one.share === share).length)).toEqual([5, 3, 2]);
});

test("a grid that may not grow says that the best value lies at its edge; equal scores stay at the start", async () => {
  expect(await search({ steep: [8, 120] }, { has: (place) => Math.abs(place) <= 2 }).chosen).toEqual({
    steep: { place: -2, isAtEdge: true },
  });
  expect(await search({ all: [1] }, { measure: async () => 1 }).chosen).toEqual({ all: { place: 0, isAtEdge: false } });
});
