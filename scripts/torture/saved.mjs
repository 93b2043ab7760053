import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { checkpointStep, decodeCheckpoint } from "../../dist/formats/checkpointFile.js";

/**
 * Units of which a process said that it had saved a checkpoint, and that have none on the disk which is whole and as new: older ones may be
 * cleared away as soon as a newer one is there.
 */
export async function lostCheckpoints(stderr) {
  const last = new Map([...stderr.matchAll(/\] (\S+): saved (\S+\.safetensors) in/g)].map(([, unit, path]) => [unit, path]));
  const lost = [];
  for (const [unit, path] of last)
    if (!(await hasWhole(dirname(path), checkpointStep(basename(path)))))
      lost.push(`${unit}: it said that ${path} was saved, and there is none that is whole and as new`);
  return lost;
}

async function hasWhole(folder, step) {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => (checkpointStep(name) ?? -1) >= step) : [];
  for (const name of names) {
    const isWhole = await decodeCheckpoint(readFileSync(join(folder, name))).then(
      () => true,
      () => false,
    );
    if (isWhole) return true;
  }
  return false;
}
