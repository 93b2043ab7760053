import { partitionFromJSON } from "../diffusion/index.ts";
import { DiffusionBlocksError } from "../errors.ts";
import type { RunFolder } from "../run/index.ts";
import type { TrainingMethod } from "../train/index.ts";
import type { Check } from "./check.ts";
import { checkCheckpoints } from "./checkpoints.ts";
import { checkIsolation } from "./isolation.ts";
import { checkOwnership, type NoiseBlocks } from "./ownership.ts";

export interface VerifyRunOptions {
  readonly folder: RunFolder;
  /** The method that the run's configuration describes, made anew. */
  readonly method: TrainingMethod;
  /** The hash of the run's configuration, as the run's checkpoints carry it. */
  readonly configHash: string;
}

/**
 * Proves on a trained run what it claims to be: that each block answers where it was trained, that no gradient crosses a block, that what
 * blocks have in common is the same in all of them, and that its files are whole and belong together. Nothing is changed.
 */
export async function verifyRun({ folder, method, configHash }: VerifyRunOptions): Promise<readonly Check[]> {
  const checks: Check[] = [];
  if (ownsNoise(method)) {
    checks.push(
      await guarded("each block answers where it was trained", async () =>
        checkOwnership(method, partitionFromJSON(await folder.readPartition())),
      ),
    );
  }
  checks.push(await guarded("no gradient crosses a block", async () => checkIsolation(method)));
  const damaged = await folder.damagedMetrics();
  const log: Check = {
    name: "every line of the log is whole",
    ok: damaged === undefined,
    detail: damaged ?? "each has the checksum it was written with",
  };
  return [...checks, ...(await checkCheckpoints(folder, method, configHash)), log];
}

function ownsNoise(method: TrainingMethod): method is NoiseBlocks {
  return "estimates" in method && method.partition !== undefined && "noise" in method.partition;
}

/** A file that is missing or damaged is a failed check, not the end of the others. */
async function guarded(name: string, check: () => Promise<Check>): Promise<Check> {
  try {
    return await check();
  } catch (error) {
    if (!(error instanceof DiffusionBlocksError)) throw error;
    return { name, ok: false, detail: error.message };
  }
}
