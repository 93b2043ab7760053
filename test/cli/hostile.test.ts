import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { dblocks, folder } from "../support/cli.ts";

const file = (name: string, content: string): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

test("a promise that nobody settles ends the command with 1 and says what was waited for", async () => {
  const plugin = file(
    "never.mjs",
    'export const never = { name: "never", description: "never", recognises: () => true, load: () => new Promise(() => {}) };',
  );
  const { code, stderr } = await dblocks("train", "vit", "--plugin", plugin, "--data", folder);
  expect(code).toBe(1);
  expect(stderr).toContain(`train ended without a result, while reading ${folder}`);
});

test("a configuration is read with a byte-order mark, and refused where it is nested without end", async () => {
  const marked = await dblocks("train", "vit", "--dry-run", "--config", file("marked.json", '\uFEFF{"training":{"epochs":2}}'));
  expect(JSON.parse(marked.stdout)).toMatchObject({ training: { epochs: 2 } });
  const deep = file("deep.json", `${'{"a":'.repeat(200_000)}1${"}".repeat(200_000)}`);
  const { code, stderr } = await dblocks("train", "vit", "--dry-run", "--config", deep);
  expect({ code, stderr }).toEqual({
    code: 42,
    stderr: expect.stringMatching(/deep\.json has brackets nested 200000 deep; 100 are allowed/),
  });
});

test.each(["__proto__.x=1", "model.__proto__.x=1", "constructor.x=1"])("--set %s is refused", async (assignment) => {
  const { code, stderr } = await dblocks("train", "vit", "--dry-run", "--set", assignment);
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/there is no ".*(__proto__|constructor)"/) });
});
