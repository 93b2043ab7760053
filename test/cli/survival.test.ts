import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { folder, main, startUntil, trainArgs } from "../support/cli.ts";

/** Whether a process is there. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

const blocks = ["block-0", "block-1", "block-2"];

test("processes whose parent was killed save and end", async () => {
  const run = join(folder, "orphans");
  const long = trainArgs("orphans", "--epochs", "3000", "--save-every", "100000", "--log-every", "1", "--schedule", "parallel");
  const logs = blocks.map((block) => join(run, block, "metrics.jsonl"));
  const { child, ended } = await startUntil(logs[0]!, long);
  await until(() => logs.every((log) => existsSync(log) && readFileSync(log).length > 0));
  const pids = blocks.map((block) => JSON.parse(readFileSync(join(run, block, "owner.json"), "utf8")).pid as number);
  expect(pids.every(isAlive)).toBe(true);
  child.kill("SIGKILL");
  await ended;
  await until(() => !pids.some(isAlive));
  for (const block of blocks) {
    const files = readdirSync(join(run, block));
    const steps = files.flatMap((name) => /^step-(\d+)/.exec(name)?.[1] ?? []).map(Number);
    const lines = readFileSync(join(run, block, "metrics.jsonl"), "utf8")
      .trimEnd()
      .split("\n");
    expect(steps).toEqual([JSON.parse(lines.at(-1)!).step]);
  }
});

test("training goes on when nobody reads stderr any more", async () => {
  const child = spawn(process.execPath, [main, ...trainArgs("unread"), "--device", "cpu"], { stdio: ["ignore", "ignore", "pipe"] });
  child.stderr.once("data", () => child.stderr.destroy());
  expect(await new Promise((resolve) => child.once("close", resolve))).toBe(0);
  expect(existsSync(join(folder, "unread", "report.html"))).toBe(true);
});
