import { expect, test } from "vitest";
import { DataError, DeviceError, RunError, TrainingError, UsageError } from "../errors.ts";
import { exitCodeOf, exitCodes } from "./exitCodes.ts";

test("the numbers that job scripts rely on", () => {
  expect(Object.values(exitCodes)).toEqual([0, 1, 2, 3, 42, 75, 76, 129, 131, 143]);
});

test.each([
  [new UsageError("config", {}, ""), 2],
  [new DataError("missing", {}, ""), 42],
  [new RunError("fenced", {}, ""), 76],
  [new RunError("diskFull", {}, ""), 1],
  [new DeviceError("lost", {}, ""), 1],
  [new TrainingError("nan", {}, ""), 3],
  [new TypeError("a bug"), 1],
  ["no error at all", 1],
])("%s", (error, code) => {
  expect(exitCodeOf(error)).toBe(code);
});
