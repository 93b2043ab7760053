import { expect, test } from "vitest";
import { distinct } from "./distinct.ts";

test("the share of different pairs", () => {
  expect(distinct([[1, 2, 3, 4]])).toBe(1);
  expect(distinct([[1, 1, 1, 1, 1]])).toBe(1 / 4);
  expect(
    distinct([
      [1, 2, 1],
      [1, 2, 3],
    ]),
  ).toBe(3 / 4);
  expect(distinct([[1, 2, 1, 2]], 3)).toBe(1);
  expect(distinct([[1]])).toBeNaN();
});
