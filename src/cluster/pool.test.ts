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
   setTimeout(() => { console.error("ended " + code); setTimeout(() => process.exit(code), 10); }, wait);`,
);

test("every process is run, its lines are told by its name, and how it ended comes back by name", async () => {
  const lines: string[] = [];
  const tasks = [0, 3].map((code) => ({ name: `task-${code}`, args: [String(code), "0"] }));
  const results = await runPool({ script, tasks, onLine: (name, line) => lines.push(`${name}: ${line}`) });
  expect(results).toEqual({ "task-0": { code: 0, output: "result 0\n" }, "task-3": { code: 3, output: "result 3\n" } });
  expect(lines.sort()).toEqual(["task-0: ended 0", "task-0: started 0", "task-3: ended 3", "task-3: started 3"]);
});

test("no more processes run at once than the limit, and as many as that", async () => {
  const waiting = join(folder, "waiting.mjs");
  const gate = join(folder, "gate");
  writeFileSync(
    waiting,
    `import { existsSync } from "node:fs";
     console.error("started");
     setInterval(() => existsSync(process.argv[2]) && (console.error("ended"), process.exit(0)), 5);`,
  );
  const running = new Set<string>();
  let most = 0;
  const onLine = (name: string, line: string): void => {
    if (line === "started") running.add(name);
    else running.delete(name);
    most = Math.max(most, running.size);
    if (running.size === 2) writeFileSync(gate, ""); // the first two wait for each other
  };
  const tasks = ["a", "b", "c", "d"].map((name) => ({ name, args: [gate] }));
  expect(Object.keys(await runPool({ script: waiting, tasks, limit: 2, onLine }))).toHaveLength(4);
  expect(most).toBe(2);
});

test("a process that is killed is started again, so often and no more; one that ends by itself is not", async () => {
  const crashing = join(folder, "crashing.mjs");
  writeFileSync(
    crashing,
    `import { appendFileSync, readFileSync } from "node:fs";
     const [log, kills] = process.argv.slice(2);
     appendFileSync(log, ".");
     if (readFileSync(log, "utf8").length <= Number(kills)) process.kill(process.pid, "SIGKILL");
     setTimeout(() => process.exit(4), 50);`,
  );
  const restarted: string[] = [];
  const outcome = await runPool({
    script: crashing,
    tasks: [1, 9].map((kills) => ({ name: `killed ${kills} times`, args: [join(folder, `kills-${kills}`), String(kills)] })),
    restarts: 3,
    onRestart: (name, code) => restarted.push(`${name}: ${code}`),
    onLine: () => {},
  });
  expect(outcome).toMatchObject({ "killed 1 times": { code: 4 }, "killed 9 times": { code: 137 } });
  expect(restarted.sort()).toEqual(["killed 1 times: 137", ...Array.from({ length: 3 }, () => "killed 9 times: 137")]);
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
