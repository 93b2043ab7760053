import { describe, expect, test } from "vitest";
import { CrashDisk } from "../../test/support/crashDisk.ts";
import { RunError } from "../errors.ts";
import { exitCodeOf } from "./exitCodes.ts";
import { claimOwnership } from "./owner.ts";

const folder = "run/block-1";
const slurm = (restarts?: number, task = "1") => ({
  SLURM_ARRAY_JOB_ID: "77",
  SLURM_ARRAY_TASK_ID: task,
  ...(restarts === undefined ? {} : { SLURM_RESTART_COUNT: String(restarts) }),
});

async function outcome(work: Promise<unknown>): Promise<number> {
  return work.then(() => 0, exitCodeOf);
}

describe("ownership", () => {
  test("is counted from 1, and the newest process has it", async () => {
    const fs = new CrashDisk();
    const first = await claimOwnership(folder, { fs, env: {} });
    await first.check();
    const second = await claimOwnership(folder, { fs, env: {} });
    expect([first.token, second.token]).toEqual([1, 2]);
    await second.check();
    expect(await outcome(first.check())).toBe(76);
  });

  test("goes to the later restart of a Slurm task, also if the earlier one starts to run after it", async () => {
    const fs = new CrashDisk();
    const requeued = await claimOwnership(folder, { fs, env: slurm(1) });
    expect(await outcome(claimOwnership(folder, { fs, env: slurm() }))).toBe(76);
    await requeued.check();
    await claimOwnership(folder, { fs, env: slurm(2) });
    expect(await outcome(requeued.check())).toBe(76);
  });

  test("goes to another Slurm job that was submitted later, though its restarts count from 0 again", async () => {
    const fs = new CrashDisk();
    const old = await claimOwnership(folder, { fs, env: slurm(3) });
    const fresh = await claimOwnership(folder, { fs, env: { SLURM_JOB_ID: "78" } });
    await fresh.check();
    await expect(old.check()).rejects.toThrow(
      /A newer process \(\d+ on .+, since .+\) owns run\/block-1\. This one stops without saving\./,
    );
  });

  test("that is gone or damaged is reported, and can be claimed again", async () => {
    const fs = new CrashDisk();
    const owner = await claimOwnership(folder, { fs, env: {} });
    fs.damage(`${folder}/owner.json`, (bytes) => bytes.subarray(5));
    await expect(owner.check()).rejects.toMatchObject({ code: "ownerLost" });
    await (await claimOwnership(folder, { fs, env: {} })).check();
    await fs.unlink(`${folder}/owner.json`);
    await expect(owner.check()).rejects.toBeInstanceOf(RunError);
  });
});
