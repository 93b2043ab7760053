import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/** The short form of `npm run torture`. */
function torture(...args: string[]): Promise<string> {
  const script = fileURLToPath(new URL("../../scripts/torture/torture.mjs", import.meta.url));
  return new Promise((resolve) => execFile(process.execPath, [script, ...args], (_, stdout, stderr) => resolve(stdout + stderr)));
}

test("killed runs end as undisturbed ones do, and controls that take away why are found out", async () => {
  const said = await torture("--kills", "8", "--only", "blocks, each operation", "--parts", "kills,controls");
  expect(said).toMatch(/^8 kills, 0 failures$/m);
  expect(said).toMatch(/^no failures, seed 1/m);
  expect(said.match(/found out: /g)).toHaveLength(9);
}, 400_000);
