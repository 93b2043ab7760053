import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PartitionError } from "../errors.ts";
import { assignLayers } from "./assign.ts";

describe("assignLayers", () => {
  test("gives equal shares in order, block 0 the first layers", () => {
    expect(assignLayers(12, 3)).toEqual([
      [0, 4],
      [4, 8],
      [8, 12],
    ]);
  });

  test("every layer belongs to exactly one block, whatever the shares", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 6 }), (shares) => {
        const total = shares.reduce((a, b) => a + b, 0);
        const layers = assignLayers(total, shares.length, shares).flatMap(([first, end]) =>
          Array.from({ length: end - first }, (_, i) => first + i),
        );
        expect(layers).toEqual(Array.from({ length: total }, (_, i) => i));
      }),
    );
  });

  test("layers that do not divide are refused with an example that works", () => {
    const refused = (): unknown => assignLayers(11, 3);
    expect(refused).toThrow(PartitionError);
    expect(refused).toThrow("layersPerBlock, e.g. [4, 4, 3]");
    expect(assignLayers(11, 3, [4, 4, 3])).toEqual([
      [0, 4],
      [4, 8],
      [8, 11],
    ]);
  });

  test.each([
    [6, 0, undefined],
    [6, 1.5, undefined],
    [6, 2, [6]],
    [6, 2, [6, 0]],
    [6, 2, [4, 3]],
    [6, 2, [2.5, 3.5]],
  ])("%d layers in %d blocks with shares %j are refused", (numLayers, numBlocks, shares) => {
    expect(() => assignLayers(numLayers, numBlocks, shares)).toThrow(PartitionError);
  });
});
