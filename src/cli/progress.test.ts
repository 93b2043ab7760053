import { expect, test } from "vitest";
import { duration } from "./output.ts";
import { TrainingProgress } from "./progress.ts";

function collector(isTTY: boolean): { isTTY: boolean; text: string; write(text: string): void } {
  return {
    isTTY,
    text: "",
    write(text) {
      this.text += text;
    },
  };
}

const report = (step: number) => ({ step, loss: 2, metrics: { accuracy: 0.25 } });
const options = { units: ["block-0", "block-1"], steps: 40, countPerStep: 100, counted: "images", lossUnit: "nats" };

test("without a terminal a plain line appears every ten seconds and at a unit's end, with the time left for all units", () => {
  const stream = collector(false);
  const progress = new TrainingProgress(options, stream);
  for (let step = 1; step <= 40; step++) progress.step("block-0", report(step), 1000 * step);
  const lines = stream.text.trimEnd().split("\n");
  expect(lines.map((line) => /step (\d+)/.exec(line)?.[1])).toEqual(["1", "11", "21", "31", "40"]);
  expect(lines[1]).toBe("block-0 step 11/40  loss 2.0000 nats  69 s left  accuracy 25.0 %  100 images/s");
  expect(lines[4]).toMatch(/40 s left {2}/);
});

test("on a terminal one line is written over, and ended before other text", () => {
  const stream = collector(true);
  const progress = new TrainingProgress(options, stream);
  progress.step("block-0", report(20), 0);
  progress.step("block-0", report(21), 200);
  expect(stream.text).not.toContain("\n");
  expect(stream.text.split("\r")).toHaveLength(3);
  progress.pause();
  progress.pause();
  expect(stream.text.split("\n")).toHaveLength(2);
});

test("units in turn keep their own means, and a resumed unit counts as far as it had come", () => {
  const stream = collector(false);
  const progress = new TrainingProgress(options, stream);
  progress.step("block-1", report(31), 0);
  for (let step = 32; step <= 41; step++) progress.step("block-1", { ...report(step), loss: 2 }, 1000 * (step - 31));
  expect(stream.text).toMatch(/block-1 step 31\/40 {2}loss 2\.0000 nats {2}accuracy/);
  expect(stream.text).toMatch(/block-1 step 40\/40 .* 0 s left {2}/);
});

test.each([40, 60, 80, 120, 30, 12])("in %d columns the line fits, also after the width has changed", (columns) => {
  const stream = { ...collector(true), columns: 200 };
  const progress = new TrainingProgress({ ...options, units: ["block-10"], steps: 123_456, counted: "tokens", countPerStep: 4096 }, stream);
  progress.step("block-10", report(61_728), 0);
  stream.columns = columns;
  progress.step("block-10", report(61_729), 200);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours and cursor movements of a terminal
  const shown = stream.text.replace(/\x1b\[[\d;]*[A-Za-z]/g, "").split("\r");
  expect(shown[1]).toMatch(/█+░+/);
  expect(shown[2]!.length).toBeLessThan(columns);
  if (columns >= 60) expect(shown[2]).toMatch(/step 61729\/123456 {2}loss 2\.0000 nats {2}.* left/);
  if (columns >= 120) expect(shown[2]).toContain("tokens/s");
});

test.each([
  [59.7, "60 s"],
  [89.6, "1 min 30 s"],
  [119.6, "2 min 0 s"],
  [5399.6, "1.5 h"],
])("%d seconds are %s", (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});
