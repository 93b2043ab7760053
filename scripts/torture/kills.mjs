import { rmSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { kinds } from "./kinds.mjs";
import { commandWords, runCommand } from "./process.mjs";
import { differences, filesOf, isLeftOver, stateOf } from "./state.mjs";

/** Kills of one run, at most; then it is left to end. */
const killsOfRun = 12;

/** Where a kill falls, as a share of the time that the undisturbed run took. */
const spread = (random) => 0.2 + 0.75 * random.next();

/**
 * Kills runs of each kind in turn until there were so many kills; some of them hit the parent alone.
 *
 * @returns runs that did not end as the undisturbed one did.
 */
export async function tortureByKills({ root, names, material, random, kills, report }) {
  const references = new Map();
  const counts = new Map(names.map((name) => [name, { kills: 0, runs: 0 }]));
  let [failures, killed] = [0, 0];
  for (let round = 0; killed < kills; round++) {
    const name = names[round % names.length];
    const words = kinds[name](material);
    if (!references.has(name)) references.set(name, await undisturbed(join(root, `reference-${round}`), words, name));
    const { state, milliseconds } = references.get(name);
    const folder = join(root, `killed-${round}`);
    let outcome = {};
    for (let life = 0; ; life++) {
      const dies = life < killsOfRun && killed < kills;
      const killAfter = dies ? milliseconds * spread(random) : undefined;
      outcome = await runCommand(commandWords(words, folder), { killAfter, parentOnly: random.next() < 0.25 });
      if (outcome.signal !== "SIGKILL") break;
      killed++;
      counts.get(name).kills++;
    }
    counts.get(name).runs++;
    const wrong = [
      ...(outcome.code === 0 ? [] : [`it ended with ${outcome.code}: ${outcome.stderr.trim().slice(0, 300)}`]),
      ...differences(stateOf(folder), state),
      ...(await leftOver(folder, words)),
    ];
    if (wrong.length > 0) {
      failures++;
      report(`${name}, in ${folder}:\n  ${wrong.slice(0, 8).join("\n  ")}`);
    } else rmSync(folder, { recursive: true, force: true });
  }
  for (const [name, { kills: ofKind, runs }] of counts) report(`${name.padEnd(30)} ${ofKind} kills of ${runs} runs`);
  report(`${killed} kills, ${failures} failures`);
  return failures;
}

/** A run that nobody disturbs: its state, and the time it took. */
export async function undisturbed(folder, words, name) {
  const started = performance.now();
  const { code, stderr } = await runCommand(commandWords(words, folder));
  if (code !== 0) throw new Error(`${name} does not train: ${stderr}`);
  return { state: stateOf(folder), milliseconds: performance.now() - started };
}

/** Unfinished files that stay although an hour has passed, and a command opened the run again. */
export async function leftOver(folder, words) {
  const twoHoursAgo = new Date(Date.now() - 7.2e6);
  const unfinished = filesOf(folder).filter(isLeftOver);
  if (unfinished.length === 0) return [];
  for (const name of unfinished) utimesSync(join(folder, name), twoHoursAgo, twoHoursAgo);
  await runCommand(commandWords(words, folder));
  return filesOf(folder)
    .filter(isLeftOver)
    .map((name) => `${name}: left behind`);
}
