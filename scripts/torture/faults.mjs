import { readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { leftOver, undisturbed } from "./kills.mjs";
import { kinds } from "./kinds.mjs";
import { commandWords, runCommand } from "./process.mjs";
import { lostCheckpoints } from "./saved.mjs";
import { differences, stateOf } from "./state.mjs";

const faultKinds = ["before", "after", "torn", "short", "EIO", "ENOSPC", "power", "names-first"];

/**
 * One fault at each operation on the files of a run, or at every so many, for each kind of fault: the same command then goes on, and ends as the undisturbed
 * run did; what was said to be saved is there.
 *
 * @returns runs of which that is not so.
 */
export async function tortureByFaults({ root, names, material, every, report }) {
  let failures = 0;
  for (const [i, name] of names.entries()) {
    const words = kinds[name](material);
    const { state } = await undisturbed(join(root, `fault-reference-${i}`), words, name);
    const operations = await countOperations(join(root, `counted-${i}`), words);
    const codes = {};
    let wrongRuns = 0;
    for (const kind of faultKinds)
      for (let at = 0; at < operations; at += every) {
        const folder = join(root, `fault-${i}-${kind}-${at}`);
        const { first, wrong } = await faultAt(folder, words, { kind, at, state });
        const code = `${kind} ${first.signal ?? first.code}`;
        codes[code] = (codes[code] ?? 0) + 1;
        if (wrong.length > 0) {
          wrongRuns++;
          report(`${name}, ${kind} at operation ${at}, in ${folder}:\n  ${wrong.slice(0, 6).join("\n  ")}`);
        } else rmSync(folder, { recursive: true, force: true });
      }
    failures += wrongRuns;
    const ends = Object.entries(codes).map(([code, count]) => `${count} ${code}`);
    report(
      `${name.padEnd(30)} ${operations} operations, ${faultKinds.length} faults at ${every === 1 ? "each" : `every ${every}th`}: ${wrongRuns} failures (${ends.join(", ")})`,
    );
  }
  return failures;
}

/** A run with one fault, and what is wrong with what it left, and how it went on. */
export async function faultAt(folder, words, { kind, at, state, control }) {
  const fault = { FAULT_ROOT: folder, FAULT_AT: String(at), FAULT_KIND: kind, ...(control && { FAULT_CONTROL: control }) };
  const first = await runCommand(
    [...commandWords(words, folder), "-v"].filter((word) => word !== "--quiet"),
    { fault },
  );
  const lost = await lostCheckpoints(first.stderr);
  const again = first.code === 0 ? first : await runCommand(commandWords(words, folder));
  const isDesigned = first.signal !== null || first.code === 0 || /^dblocks: (?!internal)/m.test(first.stderr);
  const wrong = [
    ...(isDesigned ? [] : [`it failed without a designed error: ${first.stderr.slice(-300)}`]),
    ...lost,
    ...(again.code === 0 ? [] : [`it does not go on: ${again.code}: ${again.stderr.trim().slice(0, 300)}`]),
    ...differences(stateOf(folder), state),
    ...(await leftOver(folder, words)),
  ];
  return { first, wrong };
}

/** Operations on files of the process that has the most. */
export async function countOperations(folder, words) {
  const counts = `${folder}.counts`;
  await runCommand(commandWords(words, folder), { fault: { FAULT_ROOT: folder, FAULT_COUNT: counts } });
  if (statSync(counts, { throwIfNoEntry: false }) === undefined) throw new Error("No process has counted its operations.");
  return Math.max(...readFileSync(counts, "utf8").trim().split("\n").map(Number));
}
