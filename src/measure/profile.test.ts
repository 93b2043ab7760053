import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { device } from "../../test/support/devices.ts";
import { programFlops } from "../tensor/index.ts";
import { benchMethod } from "./bench.ts";
import { readProfile, traceStepRuns } from "./profile.ts";

test("a profile counts every node of the step once, and the operations of its products are those of the plan", async () => {
  const folder = mkdtempSync(join(tmpdir(), "dblocks-profile-"));
  const method = benchMethod({ batch: 4, tokens: 6, width: 16, layers: 2, heads: 2 });
  const cpu = await device("cpu");
  const program = await traceStepRuns(cpu, { method, unit: method.units[0]!, batchSize: 4, steps: 3, trace: join(folder, "step") });
  const { ms, operators, products, besideProducts } = readProfile(readFileSync(join(folder, readdirSync(folder)[0]!), "utf8"), program);
  const nodesOf = (name: string): number => operators.find(({ operator }) => operator === name)!.nodes;
  for (const [own, name] of [
    ["gemm", "Gemm"],
    ["layerNorm", "LayerNormalization"],
    ["softmax", "Softmax"],
  ])
    expect(nodesOf(name!), name).toBe(program.nodes.filter(({ operator }) => operator.name === own).length);
  const operations = products.reduce((sum, { ms: time, gflops }) => sum + time * gflops * 1e6, 0);
  expect(operations / programFlops(program)).toBeCloseTo(1, 5);
  expect(operators.reduce((sum, { ms: time }) => sum + time, 0)).toBeCloseTo(ms, 6);
  expect(besideProducts).toBeCloseTo(1 - products.reduce((sum, { share }) => sum + share, 0), 6);
});
