import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { decodeCheckpoint, encodeCheckpoint } from "../../dist/formats/checkpointFile.js";
import { openSealedJson, sealJson } from "../../dist/formats/index.js";
import { countOperations, faultAt } from "./faults.mjs";
import { undisturbed } from "./kills.mjs";
import { kinds } from "./kinds.mjs";
import { commandWords, runCommand } from "./process.mjs";
import { differences, stateOf } from "./state.mjs";

const kind = "blocks, controls";

/**
 * Runs from which something was taken that resuming needs. Each must be found out: the run is refused, or does not end as the undisturbed
 * one did.
 *
 * @returns controls that were not found out.
 */
export async function runControls({ root, material, report }) {
  const words = kinds[kind](material);
  const reference = join(root, "control-reference");
  const { state } = await undisturbed(reference, words, kind);
  let failures = 0;
  const said = (name, found) => {
    if (found.length === 0) failures++;
    report(`control: ${name.padEnd(46)} ${found.length === 0 ? "NOT FOUND OUT" : `found out: ${found[0].slice(0, 110)}`}`);
  };
  for (const [name, tamper] of Object.entries(tampers)) {
    const folder = join(root, `control-${name.replaceAll(" ", "-")}`);
    await stopAfterFirstSteps(folder, words);
    const asked = await tamper(folder);
    const again = await runCommand(asked ?? commandWords(words, folder));
    // The tampered checkpoint itself may still be there; what counts is the one behind it.
    const ends = asked !== undefined ? [] : differences(stateOf(folder), state).filter((difference) => !/step-00000[01]/.test(difference));
    said(name, [...(again.code === 0 ? [] : [again.stderr.trim()]), ...ends]);
    rmSync(folder, { recursive: true, force: true });
  }
  const operations = await countOperations(join(root, "control-counted"), words);
  for (const control of ["no-fsync", "rename-before-fsync"])
    for (const fault of ["power", "names-first"]) {
      const found = [];
      for (let at = Math.floor(operations / 3); at < operations && found.length === 0; at += Math.max(1, Math.floor(operations / 12))) {
        const folder = join(root, `control-${control}-${fault}-${at}`);
        found.push(...(await faultAt(folder, words, { kind: fault, at, state, control })).wrong);
        rmSync(folder, { recursive: true, force: true });
      }
      said(`${control}, ${fault}`, found);
    }
  return failures;
}

/** Trains the first update of every block, and leaves the rest. */
async function stopAfterFirstSteps(folder, words) {
  const outcome = await runCommand(commandWords(words, folder));
  if (outcome.code !== 0) throw new Error(outcome.stderr);
  for (const block of ["block-0", "block-1"]) {
    const names = readdirSync(join(folder, block)).filter((name) => /^step-(?!000001)/.test(name));
    for (const name of names) rmSync(join(folder, block, name));
  }
  for (const name of ["evaluation.json", "report.html"]) rmSync(join(folder, name), { force: true });
}

const first = (folder, block) => join(folder, block, "step-000001.safetensors");

/** Writes a checkpoint anew with something changed, under a checksum that fits. */
async function changed(path, change) {
  const content = await decodeCheckpoint(readFileSync(path));
  writeFileSync(path, await encodeCheckpoint({ ...content, ...change(content) }));
}

/** What is taken from a run that has stopped; some say the command that must find it out, instead of the training that goes on. */
const tampers = {
  "random state dropped (another step's draws)": async (folder) => {
    // Draws are a pure function of seed and step: with the step forgotten, the next batch is the first one again.
    const path = first(folder, "block-0");
    await changed(path, () => ({ step: 0 }));
    writeFileSync(join(folder, "block-0", "step-000000.safetensors"), readFileSync(path));
    rmSync(path);
  },
  "schedule dropped (no update was counted)": (folder) =>
    changed(first(folder, "block-0"), ({ metadata }) => ({ metadata: { ...metadata, updates: "0" } })),
  "optimiser state dropped": (folder) =>
    changed(first(folder, "block-1"), ({ arrays }) => ({
      arrays: new Map(
        [...arrays].map(([name, { shape, data }]) => [
          name,
          { shape, data: /^(m|v|momentum)\//.test(name) ? new Float32Array(data.length) : data },
        ]),
      ),
    })),
  "two blocks swapped": async (folder) => {
    const contents = await Promise.all(["block-0", "block-1"].map(async (block) => decodeCheckpoint(readFileSync(first(folder, block)))));
    for (const [i, block] of ["block-0", "block-1"].entries()) {
      const [own, other] = [contents[i], contents[1 - i]];
      const values = new Map(
        [...own.arrays].map(([name, array]) => [name, other.arrays.get(name.replaceAll(block, `block-${1 - i}`)) ?? array]),
      );
      writeFileSync(first(folder, block), await encodeCheckpoint({ ...own, arrays: values }));
    }
  },
  "ranges reversed": async (folder) => {
    const path = join(folder, "partition.json");
    const partition = openSealedJson(readFileSync(path, "utf8"), path);
    writeFileSync(path, sealJson({ ...partition, ranges: [...partition.ranges].reverse() }));
    return ["evaluate", folder]; // training writes it anew; what reads it must refuse
  },
};
