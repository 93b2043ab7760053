import { execFile, execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { data, dblocks, folder, main } from "../support/cli.ts";

const run = promisify(execFile);
const lab = join(folder, "lab");
const labScript = fileURLToPath(new URL("lab.sh", import.meta.url));
const isRoot = process.getuid?.() === 0;
const hasSlurm = isRoot && ["sbatch", "slurmctld", "slurmd", "munged"].every(isInstalled);

function isInstalled(command: string): boolean {
  return (process.env.PATH ?? "").split(":").some((path) => existsSync(join(path, command)));
}

function canCutNetwork(): boolean {
  try {
    execFileSync("unshare", ["--net", "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

const options = ["--data", data, "--batch", "20", "--width", "16", "--heads", "2", "--patch", "8", "--layers", "3"];
const steps = 1500;
const length = ["--max-steps", String(steps), "--epochs", "1000", "--evaluate-every", "0", "--save-every", "100", "--threads", "1"];

/** Every weight of a run: the last checkpoints, without what differs by process. */
function weights(path: string, at = steps): Record<string, string> {
  const units = readdirSync(path).filter((name) => name.startsWith("block-"));
  const last = `step-${String(at).padStart(6, "0")}.safetensors`;
  return Object.fromEntries(units.map((unit) => [unit, readFileSync(join(path, unit, last)).toString("base64")]));
}

/** Waits until something holds, or fails after two minutes with what there is to see. */
async function until(
  what: string,
  holds: () => Promise<boolean> | boolean,
  seen: () => Promise<string> | string = () => "",
): Promise<void> {
  for (const end = Date.now() + 120_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 250)))
    if (await holds()) return;
  throw new Error(`Not within two minutes: ${what}. ${await seen()}`);
}

const queue = async (...args: string[]): Promise<string> => (await run("squeue", ["-h", "-r", "-o", "%i %T %r", ...args])).stdout;
const isSaved = (path: string, unit: string): boolean =>
  existsSync(join(path, unit)) && readdirSync(join(path, unit)).some((name) => /^step-\d+\.safetensors$/.test(name));
const logs = (path: string): string =>
  readdirSync(join(path, "launch"))
    .filter((name) => name.endsWith(".log"))
    .map((name) => `${name}:\n${readFileSync(join(path, "launch", name), "utf8")}`)
    .join("\n");

const reference = join(folder, "reference");
describe.runIf(hasSlurm)("Slurm, one controller and two nodes on this machine (skipped without root, slurm-wlm and munge)", () => {
  beforeAll(async () => {
    await run("bash", [labScript, "start", lab]);
    process.env.SLURM_CONF = join(lab, "slurm.conf");
    expect((await dblocks("train", "vit", "--run", reference, ...options, ...length)).code).toBe(0);
  }, 300_000);
  afterAll(() => run("bash", [labScript, "stop", lab]));

  const launch = async (path: string, ...more: string[]): Promise<{ array: string; finish: string }> => {
    const { code, stdout, stderr } = await dblocks("launch", "slurm", "vit", "--run", path, ...options, ...length, "--json", ...more);
    expect([code, stderr]).toEqual([0, ""]);
    return JSON.parse(stdout);
  };
  const finished = (path: string): Promise<void> =>
    until(
      "the queue is empty",
      async () => (await queue()) === "",
      async () => `${await queue()}\n${logs(path)}`,
    );

  test("a run survives scancel and a requeue, and ends with the weights of the sequential run", { timeout: 400_000 }, async () => {
    const path = join(folder, "cancelled");
    const first = await launch(path);
    await until(
      "each unit is saved",
      () => ["block-0", "block-1", "block-2"].every((unit) => isSaved(path, unit)),
      () => logs(path),
    );
    const status = JSON.parse((await dblocks("status", path, "--json")).stdout) as { unit: string; state: string; where: string }[];
    expect(status.map(({ unit }) => unit)).toEqual(["block-0", "block-1", "block-2"]);
    for (const { state, where } of status) expect([state, where]).toEqual(["running", expect.stringContaining(`Slurm ${first.array}_`)]);
    await run("scancel", [first.array]);
    await finished(path); // the job that depends on them is gone as well
    expect(existsSync(join(path, "report.html"))).toBe(false);

    const second = await launch(path);
    const task = `${second.array}_1`;
    await until(
      "the second task runs",
      async () => (await queue("-j", second.array)).includes(`${task} RUNNING`),
      () => logs(path),
    );
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await run("scontrol", ["requeue", task]);
    // Slurm would wait two minutes before it starts a requeued task.
    await until(
      "it is queued again",
      async () => (await queue("-j", second.array)).includes(`${task} PENDING`),
      () => queue(),
    );
    await run("scontrol", ["update", `jobid=${task}`, "StartTime=now"]);
    await finished(path);
    expect(logs(path)).toMatch(/block-1 on n\d, task \d+_1, restart 1/);
    expect(weights(path)).toEqual(weights(reference));
    expect(readFileSync(join(path, "report.html"), "utf8")).toContain("block-1 alone");
    expect(logs(path)).toMatch(/^ok +no gradient crosses a block/m);
    const done = JSON.parse((await dblocks("status", path, "--json")).stdout) as { state: string; step: number; steps: number }[];
    for (const { state, step, steps: all } of done) expect([state, step, all]).toEqual(["trained", steps, steps]);
  });

  test("a task told of its time limit saves, is queued again, and goes on; --stage trains on the node's own disk", {
    timeout: 400_000,
  }, async () => {
    const path = join(folder, "staged run");
    const stage = join(folder, "node disk");
    const { array } = await launch(path, "--stage", stage);
    await until(
      "a unit is saved on the node",
      () => isSaved(join(stage, `dblocks-${array}_0`), "block-0"),
      () => logs(path),
    );
    expect(isSaved(path, "block-0")).toBe(false);
    await run("scancel", ["--signal=USR1", "--batch", `${array}_0`]);
    await until(
      "it is queued again",
      async () => (await queue("-j", array)).includes(`${array}_0 PENDING`),
      () => logs(path),
    );
    expect(isSaved(path, "block-0")).toBe(true);
    await run("scontrol", ["update", `jobid=${array}_0`, "StartTime=now"]);
    await finished(path);
    expect(logs(path)).toMatch(/near the time limit: saved, queued again/);
    expect(weights(path)).toEqual(weights(reference));
    expect(readdirSync(stage)).toEqual([]);
    expect(readdirSync(join(path, "launch")).filter((name) => name.startsWith("incoming"))).toEqual([]);
    expect(existsSync(join(path, "report.html"))).toBe(true);
  });
});

test.runIf(canCutNetwork())(
  "blocks exchange nothing: each trains with the network cut off (skipped where unshare may not)",
  async () => {
    const short = [...options, "--max-steps", "60", "--epochs", "1000", "--threads", "1"];
    const [path, whole] = [join(folder, "cut-off"), join(folder, "connected")];
    for (const block of ["0", "1", "2"])
      await run("unshare", ["--net", process.execPath, main, "train", "vit", "--run", path, ...short, "--block", block]);
    expect((await dblocks("train", "vit", "--run", whole, ...short)).code).toBe(0);
    expect(weights(path, 60)).toEqual(weights(whole, 60));
  },
  300_000,
);
