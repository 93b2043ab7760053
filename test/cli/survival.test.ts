import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { dblocks, folder, main, type Outcome, startUntil, train, trainArgs } from "../support/cli.ts";

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

/** Every array of the newest checkpoint of each block, and its metadata. */
function newest(run: string): Record<string, string> {
  return Object.fromEntries(
    blocks.map((block) => {
      const files = readdirSync(join(folder, run, block)).filter((name) => name.startsWith("step-"));
      const last = files.sort().at(-1)!;
      return [
        `${block}/${last}`,
        createHash("sha256")
          .update(readFileSync(join(folder, run, block, last)))
          .digest("hex"),
      ];
    }),
  );
}

function records(run: string): Record<string, unknown>[] {
  const lines = readFileSync(join(folder, run, "metrics.jsonl"), "utf8")
    .trimEnd()
    .split("\n");
  return lines.map((line) => JSON.parse(line));
}

const logOf = (run: string): unknown => records(run).map(({ time: _, crc: __, ...record }) => record); // the checksum is of the time too

/** Starts a training, kills it as soon as a file is there, and trains it to its end. */
async function killedAt(run: string, file: string, ...more: string[]): Promise<Outcome> {
  const { child, ended } = await startUntil(join(folder, run, file), trainArgs(run, ...more));
  child.kill("SIGKILL");
  await ended;
  return await train(run, ...more);
}

test("a run that diverges is not saved, and both commands that its message gives mend it", async () => {
  const wild = ["--lr", "1e6", "--save-every", "1", "--clip", "1000"];
  const diverged = await train("wild", ...wild);
  expect(diverged.code).toBe(3);
  expect(diverged.stderr).toMatch(/dblocks: block-0, step \d+: .* (is|makes|make) /);
  const [restore, override] = ["--on-nan restore", "--override training.learningRate=500000"];
  for (const words of [restore, override]) expect(diverged.stderr).toContain(`dblocks train vit --run ${join(folder, "wild")} ${words}`);
  const mended = await dblocks("train", "vit", "--run", join(folder, "wild"), "--on-nan", "restore", "--json");
  expect(mended.code).toBe(0);
  expect(mended.stderr).toMatch(/goes on from step \d+ at 0\.5 of the learning rate/);
  expect(records("wild").filter(({ rateScale }) => rateScale !== undefined).length).toBeGreaterThan(0);
  await train("lowered", ...wild);
  const lowered = await dblocks("train", "vit", "--run", join(folder, "lowered"), "--override", "training.learningRate=0.001");
  expect(lowered.code).toBe(0);
  expect(readFileSync(join(folder, "lowered", "report.html"), "utf8")).toMatch(/overrides<.td>.*learningRate&quot;:0\.001/);
});

test("a diverging run that is restored and killed in between equals one that was not killed", async () => {
  const wild = ["--lr", "1e6", "--on-nan", "restore", "--save-every", "5", "--log-every", "1"];
  expect(await train("restored", ...wild)).toMatchObject({ code: 0 });
  expect((await killedAt("restored-killed", "block-1/step-000010.safetensors", ...wild)).code).toBe(0);
  expect(newest("restored-killed")).toEqual(newest("restored"));
  expect(logOf("restored-killed")).toEqual(logOf("restored"));
});

test("a finished run goes on for more epochs at another rate, from its step on, and a kill changes nothing", async () => {
  for (const run of ["longer", "longer-killed"]) expect((await train(run)).code).toBe(0);
  const more = ["--override", "training.epochs=6", "training.learningRate=0.0005"];
  expect((await train("longer", "--epochs", "6")).stderr).toContain("--override training.epochs=…");
  expect((await dblocks("train", "vit", "--run", join(folder, "longer"), ...more)).code).toBe(0);
  const again = ["train", "vit", "--run", join(folder, "longer-killed"), ...more];
  const { child, ended } = await startUntil(join(folder, "longer-killed", "block-1", "step-000042.safetensors"), again);
  child.kill("SIGKILL");
  await ended;
  expect((await dblocks(...again)).code).toBe(0);
  expect(newest("longer-killed")).toEqual(newest("longer"));
  expect(logOf("longer-killed")).toEqual(logOf("longer"));
  const { overrides, training } = JSON.parse(readFileSync(join(folder, "longer-killed", "config.json"), "utf8"));
  const from = Object.fromEntries(blocks.map((block) => [block, 30]));
  expect(overrides).toEqual([{ values: { "training.epochs": 6, "training.learningRate": 0.0005 }, from }]);
  expect(training.epochs).toBe(3);
  expect(records("longer").find((record) => record["override/training.epochs"] === 6)).toMatchObject({ unit: "block-0", step: 31 });
  const refused = await dblocks("train", "vit", "--run", join(folder, "longer"), "--override", "model.width=8");
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("can go on with another training.epochs") });
});

test("early stopping and the best checkpoint are the same after kills, and prediction says what it uses", async () => {
  const early = ["--epochs", "30", "--patience", "2", "--evaluate-steps", "3"];
  const whole = await train("early", ...early, "--json");
  expect(whole.code).toBe(0);
  const { steps, finished } = JSON.parse(whole.stdout);
  expect(finished).toBe(true);
  expect(Math.min(...Object.values<number>(steps))).toBeLessThan(300);
  expect((await killedAt("early-killed", "block-0/step-000007.safetensors", ...early)).code).toBe(0);
  expect(newest("early-killed")).toEqual(newest("early"));
  expect(logOf("early-killed")).toEqual(logOf("early"));
  const used = await dblocks("evaluate", join(folder, "early"), "--json");
  expect(used.stderr).toMatch(/block-0: the best checkpoint, of step \d+/);
  expect(JSON.parse(used.stdout)).toEqual(JSON.parse(whole.stdout).evaluation);
  const last = await dblocks("evaluate", join(folder, "early"), "--checkpoint", "last", "--json");
  expect(JSON.parse(last.stdout).accuracies).not.toBeUndefined();
  expect(last.stderr).not.toContain("best");
});
