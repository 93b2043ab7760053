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
   console.log("result " + code);
   setTimeout(() => process.exit(code), wait);`,
);

test("every process is run, its lines are told by its name, and how it ended comes back by name", async () => {
  const lines: string[] = [];
  const tasks = [0, 3].map((code) => ({ name: `task-${code}`, args: [String(code), "0"] }));
  const results = await runPool({ script, tasks, onLine: (name, line) => lines.push(`${name}: ${line}`) });
  expect(results).toEqual({ "task-0": { code: 0, output: "result 0\n" }, "task-3": { code: 3, output: "result 3\n" } });
  expect(lines.sort()).toEqual(["task-0: started 0", "task-3: started 3"]);
});

test("an abort reaches every process as SIGINT", async () => {
  const controller = new AbortController();
  let started = 0;
  const tasks = ["a", "b"].map((name) => ({ name, args: ["0", "60000"] }));
  const onLine = (): void => {
    if (++started === tasks.length) controller.abort();
  };
  expect(await runPool({ script, tasks, onLine, signal: controller.signal })).toMatchObject({ a: { code: 7 }, b: { code: 7 } });
});
