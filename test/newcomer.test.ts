import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { commandsOf, promiseOf } from "../scripts/newcomer/commands.mjs";
import { differenceOf, outputsOf, shapeOf } from "../scripts/newcomer/outputs.mjs";

const read = (name: string): string => readFileSync(fileURLToPath(new URL(`../${name}`, import.meta.url)), "utf8");

describe("the newcomer's script", () => {
  test("reduces what depends on the machine, on chance and on sizes, and nothing else", () => {
    for (const [line, shape] of [
      ["block-0  trained  12/500  2.1806  65 s ago  1234 on vm", "block-0 trained #/# # # s ago # on HOST"],
      [
        "runs/vit/export/block-1.onnx  1.1 MB, differs from the library by 1.8e-7 at most",
        "runs/vit/export/block-1.onnx # B, differs from the library by # at most",
      ],
      ["3 files of 3 units, configuration 518ce3f4e84f", "# files of # units, configuration #"],
      ["2 min 30 s left, 18.5 GB", "# s left, # B"],
      ["───────  ────", "─ ─"],
      ["pixels 1×28×28, −0.5 nats", "pixels #×#×#, # nats"],
    ] as const)
      expect(shapeOf(line)).toBe(shape);
  });

  test("finds lines that are missing, other, in another order or too many", () => {
    const shown = "a 1\nb 2\n…\nend";
    for (const printed of ["a 7\nb 99\nend", "a 7\nb 1\nmore\nand more\nend"]) expect(differenceOf(shown, printed)).toBeUndefined();
    expect(differenceOf(shown, "a 7\nend")).toMatch(/nothing printed is like "b 2"/);
    expect(differenceOf(shown, "b 7\na 1\nend")).toMatch(/another order or number/);
    expect(differenceOf(shown, "a 7\nb 1\nend\nmore")).toMatch(/another order or number/);
    expect(differenceOf("a one", "a two")).toMatch(/nothing printed is like "a one"/);
  });

  test.each(["README.md", "docs/GUIDE.md"])("%s: what is shown is of commands that are typed, and every command has a promise", (name) => {
    const text = read(name);
    const commands = commandsOf(text);
    const shown = [...outputsOf(text).keys()];
    expect(shown.filter((command) => !commands.includes(command))).toEqual([]);
    expect(shown.length).toBe(text.split("```text\n$ ").length - 1);
    expect(shown.length).toBeGreaterThan(0);
    expect(commands.filter((command) => promiseOf(command) === undefined)).toEqual([]);
  });
});
