import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { evaluate } from "../../test/support/evaluate.ts";
import { type Device, openDevice } from "../runtime/index.ts";
import { createTargets, orthonormalRows } from "./targets.ts";

let device: Device;
beforeAll(async () => {
  device = await openDevice("cpu", { threads: 1 });
});
afterAll(() => device.dispose());

function products(rows: Float32Array, count: number): number[][] {
  const width = rows.length / count;
  const row = (r: number): Float32Array => rows.subarray(r * width, (r + 1) * width);
  return Array.from({ length: count }, (_, a) =>
    Array.from({ length: count }, (_, b) => row(a).reduce((sum, x, i) => sum + x * row(b)[i]!, 0)),
  );
}

describe("orthonormalRows", () => {
  test.each([
    [10, 96],
    [16, 16],
    [100, 128],
  ])("%d rows of width %d are orthonormal", (rows, width) => {
    for (const [a, line] of products(orthonormalRows(rows, width), rows).entries()) {
      for (const [b, product] of line.entries()) expect(Math.abs(product - (a === b ? 1 : 0))).toBeLessThan(1e-6);
    }
  });

  test("more rows than columns have norm 1 and differ", () => {
    const all = products(orthonormalRows(20, 6), 20);
    for (const [a, line] of all.entries()) {
      expect(line[a]).toBeCloseTo(1, 6);
      for (const [b, product] of line.entries()) if (a !== b) expect(product).toBeLessThan(0.999);
    }
  });

  test("are the same at every call: blocks that never meet agree on them", () => {
    expect(orthonormalRows(10, 24)).toEqual(orthonormalRows(10, 24));
    expect(Math.max(...orthonormalRows(10, 24).map(Math.abs))).toBeGreaterThan(0.3); // no zeros
  });
});

describe("createTargets", () => {
  test("a fixed table has rows of the asked length and no parameter", () => {
    const { table, parameter } = createTargets("orthonormal", 5, 8, 3);
    expect(parameter).toBeUndefined();
    if (table.source?.kind !== "constant") throw new Error("expected a constant");
    for (const [a, line] of products(table.source.data as Float32Array, 5).entries()) expect(line[a]).toBeCloseTo(9, 4);
  });

  test("a learned table is normalised wherever it is used", async () => {
    const { table, parameter } = createTargets("learned", 3, 2, 2);
    const learned = Float32Array.of(3, 4, 0, -0.1, 1e-3, 0);
    const values = await evaluate(device, { table }, { learned }, new Map([[parameter!, "learned"]]));
    const expected = [1.2, 1.6, 0, -2, 2, 0];
    for (const [i, value] of values.table.entries()) expect(value).toBeCloseTo(expected[i]!, 5);
  });
});
