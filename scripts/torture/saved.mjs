import { existsSync, readFileSync } from "node:fs";
import { decodeCheckpoint } from "../../dist/formats/checkpointFile.js";

/**
 * Checkpoints that a process said it had saved, and that are not whole on the disk: of each unit the last one, since older ones may be
 * cleared away.
 */
export async function lostCheckpoints(stderr) {
  const last = new Map([...stderr.matchAll(/\] (\S+): saved (\S+\.safetensors) in/g)].map(([, unit, path]) => [unit, path]));
  const lost = [];
  for (const [unit, path] of last) {
    const isWhole =
      existsSync(path) &&
      (await decodeCheckpoint(readFileSync(path))
        .then(() => true)
        .catch(() => false));
    if (!isWhole) lost.push(`${unit}: it said that ${path} was saved, and it is ${existsSync(path) ? "not whole" : "not there"}`);
  }
  return lost;
}
