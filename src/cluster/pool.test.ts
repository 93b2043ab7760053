import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { runPool } from "./pool.ts";

const folder = mkdtempSync(join(tmpdir(), "dblocks-pool-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const script = join(folder, "task.mjs");
writeFileSync(
  script,
  `const [code, wait] = process.argv.slice(2).map(Number);
   process.once("SIGINT", () => process.exit(7));
   console.error("started " + code);
   setTimeout(() => process.exit(code), wait);`,
);

test("every process is run, its output is told by its name, and exit codes come back by name", async () => {
  const lines: string[] = [];
  const tasks = [0, 3].map((code) => ({ name: `task-${code}`, args: [String(code), "0"] }));
  const codes = await runPool({ script, tasks, onLine: (name, line) => lines.push(`${name}: ${line}`) });
  expect(codes).toEqual({ "task-0": 0, "task-3": 3 });
  expect(lines.sort()).toEqual(["task-0: started 0", "task-3: started 3"]);
});

test("an abort reaches every process as SIGINT", async () => {
  const controller = new AbortController();
  let started = 0;
  const tasks = ["a", "b"].map((name) => ({ name, args: ["0", "60000"] }));
  const onLine = (): void => {
    if (++started === tasks.length) controller.abort();
  };
  expect(await runPool({ script, tasks, onLine, signal: controller.signal })).toEqual({ a: 7, b: 7 });
});
