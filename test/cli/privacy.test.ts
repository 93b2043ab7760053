import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { folder, main, trainArgs } from "../support/cli.ts";

test("training reports nothing to anybody: no identifier in the home folder, no log of telemetry among the temporary files", () => {
  const place = mkdtempSync(join(folder, "private-"));
  const [home, temporary] = ["home", "tmp"].map((name) => join(place, name));
  for (const path of [home!, temporary!]) mkdirSync(path);
  const env = { ...process.env, HOME: home, TMPDIR: temporary, XDG_CACHE_HOME: undefined, ORT_DISABLE_TELEMETRY: undefined };
  execFileSync(process.execPath, [main, ...trainArgs("private", "--max-steps", "1"), "--quiet"], { env, stdio: "pipe" });
  const made = [home!, temporary!].flatMap((path) => readdirSync(path, { recursive: true }).map(String));
  expect(made.filter((name) => !name.startsWith("dblocks-"))).toEqual([]);
});
