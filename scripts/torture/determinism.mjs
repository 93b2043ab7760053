#!/usr/bin/env node
// npm run determinism: every kind of run three times over, bit for bit the same; then how much threads and backends may change the weights.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { asFloat32, readSafetensors } from "../../dist/formats/index.js";
import { kinds } from "./kinds.mjs";
import { writeMaterial } from "./material.mjs";
import { commandWords, runCommand } from "./process.mjs";
import { differences, stateOf } from "./state.mjs";

const { values } = parseArgs({ options: { repeats: { type: "string", default: "3" }, only: { type: "string" } } });
const names = Object.keys(kinds).filter((name) => values.only === undefined || name.includes(values.only));
const root = mkdtempSync(join(tmpdir(), "dblocks-determinism-"));
const material = writeMaterial(root);

async function trained(words, folder) {
  const { code, stderr } = await runCommand(commandWords(words, folder));
  if (code !== 0) throw new Error(`${words.join(" ")}: ${stderr}`);
  return folder;
}

let failures = 0;
for (const [i, name] of names.entries()) {
  const states = [];
  for (let repeat = 0; repeat < Number(values.repeats); repeat++)
    states.push(stateOf(await trained(kinds[name](material), join(root, `${i}-${repeat}`))));
  const wrong = states.slice(1).flatMap((state) => differences(state, states[0]));
  if (wrong.length > 0) failures++;
  console.log(
    `${name.padEnd(30)} ${states.length} times ${wrong.length === 0 ? "the same bits" : `NOT THE SAME: ${wrong.slice(0, 3).join("; ")}`}`,
  );
}

/** Words with another value of an option. */
const withOption = (words, flag, value) => {
  const at = words.indexOf(flag);
  return at < 0 ? [...words, flag, value] : words.with(at + 1, value);
};

/** The values of the last checkpoint of each unit. */
function weightsOf(folder) {
  const units = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return new Map(
    units.flatMap(({ name: unit }) => {
      const last = readdirSync(join(folder, unit))
        .filter((name) => name.startsWith("step-"))
        .sort()
        .at(-1);
      if (last === undefined) return [];
      const { tensors } = readSafetensors(readFileSync(join(folder, unit, last)));
      return [...tensors].filter(([name]) => name.startsWith("value/")).map(([name, tensor]) => [`${unit}/${name}`, asFloat32(tensor)]);
    }),
  );
}

/** The largest difference of a weight, relative to the largest weight of its array. */
function largestDifference(a, b) {
  let largest = 0;
  for (const [name, values] of a) {
    const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-12);
    for (const [i, value] of values.entries()) largest = Math.max(largest, Math.abs(value - b.get(name)[i]) / scale);
  }
  return largest;
}

console.log("\nlargest difference of a weight, relative to the largest of its array, after the same updates:");
const compared = ["blocks in sequence", "masked diffusion", "autoregressive"].filter((name) => names.includes(name));
for (const [i, name] of compared.entries()) {
  const words = kinds[name](material);
  const one = weightsOf(await trained(words, join(root, `one-${i}`)));
  const found = [];
  for (const [what, flag, value] of [
    ["2 threads", "--threads", "2"],
    ["4 threads", "--threads", "4"],
    ["WASM", "--device", "wasm"],
  ]) {
    const other = await trained(withOption(words, flag, value), join(root, `${i}-${what.replace(" ", "-")}`));
    found.push(`${what} ${largestDifference(one, weightsOf(other)).toExponential(1)}`);
  }
  console.log(`${name.padEnd(30)} ${found.join(", ")}`);
}
if (failures === 0) rmSync(root, { recursive: true, force: true });
console.log(failures === 0 ? "no failures" : `${failures} FAILURES; folders are kept in ${root}`);
process.exitCode = failures === 0 ? 0 : 1;
