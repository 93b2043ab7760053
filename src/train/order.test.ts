import { expect, test } from "vitest";
import { independent, interleaved, scheduleFor, sequential } from "./order.ts";

test.each([
  [independent, "sequential", "interleaved"],
  [sequential, "sequential", "interleaved"],
  [interleaved(), "interleaved", "interleaved"],
  [interleaved({ every: 3, groups: [["a/w", "b/w"]] }), "interleaved", "interleaved"],
] as const)(
  "units that are $kind are trained one after another where that is possible, in turn where that is wanted",
  (order, first, wanted) => {
    expect(scheduleFor(order)).toBe(first);
    expect(scheduleFor(order, "sequential")).toBe(first);
    expect(scheduleFor(order, "interleaved")).toBe(wanted);
  },
);

test("an order carries what is averaged, and nothing where nothing is", () => {
  const averaging = { every: 3, groups: [["a/w", "b/w"]] };
  expect(interleaved(averaging)).toEqual({ kind: "interleaved", averaging });
  expect(interleaved()).toEqual({ kind: "interleaved" });
});
