import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { UnitRows } from "./unitRows.ts";

/** What a stream shows after all that was written to it: escapes that go up and erase are followed. */
function screen(written: readonly string[]): string[] {
  const lines: string[] = [];
  for (const text of written) {
    if (text.startsWith("\x1b[")) lines.length -= Number.parseInt(text.slice(2), 10);
    lines.push(...stripVTControlCharacters(text).split("\n").slice(0, -1));
  }
  return lines;
}

function recorded(isTTY: boolean, columns = 80) {
  const written: string[] = [];
  return { written, rows: new UnitRows({ isTTY, columns, write: (text) => written.push(text) }) };
}

test("on a terminal each unit has one row, in the order of the units, below what else is said", () => {
  const { written, rows } = recorded(true);
  rows.line("block-10", "block-10 step 1/9  loss 3");
  rows.line("block-2", "block-2 step 1/9  loss 2");
  rows.line("block-2", "a notice");
  rows.above("another");
  rows.line("block-10", "block-10 step 2/9  loss 1");
  expect(screen(written)).toEqual(["[block-2] a notice", "another", "block-2 step 1/9  loss 2", "block-10 step 2/9  loss 1"]);
});

test("no row is wider than the terminal", () => {
  const { written, rows } = recorded(true, 20);
  rows.line("block-0", `block-0 step 1/9 ${"x".repeat(100)}`);
  expect(screen(written).map(({ length }) => length)).toEqual([19]);
});

test("elsewhere every line is kept, with its unit", () => {
  const { written, rows } = recorded(false);
  rows.line("block-0", "block-0 step 1/9  loss 3");
  rows.line("block-0", "block-0 step 2/9  loss 2");
  expect(written).toEqual(["[block-0] block-0 step 1/9  loss 3\n", "[block-0] block-0 step 2/9  loss 2\n"]);
});
