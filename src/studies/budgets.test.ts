import { expect, test } from "vitest";
import { renderReport } from "../report/index.ts";
import { type BudgetPoint, budgetSections, paretoFront } from "./budgets.ts";
import type { ComparedRun } from "./comparedRun.ts";
import { atBudgets } from "./systems.ts";

const systems = atBudgets(
  [
    { name: "end-to-end", method: "end-to-end", overrides: {} },
    { name: "checkpointing", method: "end-to-end", overrides: {}, tunedAs: "end-to-end" },
  ],
  [1, 4],
);

test("each system has a row for each budget, tuned for its own length", () => {
  expect(systems.map(({ name, curve, times, tunedAs }) => [name, curve, times, tunedAs])).toEqual([
    ["end-to-end × 1", "end-to-end", 1, undefined],
    ["checkpointing × 1", "checkpointing", 1, "end-to-end × 1"],
    ["end-to-end × 4", "end-to-end", 4, undefined],
    ["checkpointing × 4", "checkpointing", 4, "end-to-end × 4"],
  ]);
  expect(atBudgets([{ name: "blocks", method: "blocks", overrides: {} }], [1])).toEqual([
    { name: "blocks", method: "blocks", overrides: {} },
  ]);
});

test("the front has the points that no other one beats", () => {
  const point = (name: string, layerEvaluations: number, bytes: number, score: number): BudgetPoint => ({
    name,
    curve: name,
    score,
    layerEvaluations,
    seconds: 1,
    bytes,
  });
  const points = [
    point("cheap", 1, 5, 60),
    point("good", 4, 5, 80),
    point("small", 4, 2, 70),
    point("beaten", 4, 5, 75),
    point("same", 4, 5, 80),
  ];
  expect(paretoFront(points, "max").map(({ name }) => name)).toEqual(["cheap", "good", "small", "same"]);
  expect(paretoFront(points, "min").map(({ name }) => name)).toEqual(["cheap", "small"]);
});

test("the report draws a curve for each system, with the memory as the size of the marks", () => {
  const run = (method: string, layerEvaluations: number, bytes: number, value: number): ComparedRun => ({
    method,
    seed: 0,
    score: { title: "accuracy %", value, best: "max", digits: 1 },
    learningRate: 1e-3,
    units: 1,
    updates: 10,
    samples: 10,
    layerEvaluations,
    seconds: layerEvaluations / 10,
    trainingBytes: bytes,
    predictedBytes: bytes,
    gradientParameters: 1,
  });
  const runs = [
    run("end-to-end × 1", 100, 4e6, 50),
    run("checkpointing × 1", 100, 1e6, 50),
    run("end-to-end × 4", 400, 4e6, 70),
    run("checkpointing × 4", 400, 1e6, 70),
  ];
  const [section] = budgetSections(systems, runs);
  expect(section!.paragraphs![1]).toContain("checkpointing × 1, checkpointing × 4");
  const page = renderReport({ title: "t", sections: [section!] });
  const radii = [...page.matchAll(/ r="([\d.]+)"/g)].map(([, r]) => Number(r));
  expect(new Set(radii)).toEqual(new Set([12, 7.5])); // areas of 4 and 1
  expect(page).toContain("layer evaluations (log scale)");
  expect(page).toContain("training memory, MB: 4");
  expect(budgetSections([{ name: "end-to-end × 1", method: "end-to-end", overrides: {} }], runs)).toEqual([]);
});
