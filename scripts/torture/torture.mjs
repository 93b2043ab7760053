#!/usr/bin/env node
// npm run torture: runs of every kind are killed at random instants, or at each operation on their files, and resumed by the same command
// until they end. Every end must be that of the run that nobody disturbed, bit for bit. Negative controls take away what makes it so, and
// must be found out. Exits with 1 if a run ends otherwise, or a control is not found out.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runControls } from "./controls.mjs";
import { tortureByFaults } from "./faults.mjs";
import { tortureByKills } from "./kills.mjs";
import { kinds } from "./kinds.mjs";
import { writeMaterial } from "./material.mjs";
import { Random } from "./random.mjs";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    every: { type: "string", default: "1" },
    parts: { type: "string", default: "kills,faults,controls" },
    keep: { type: "boolean", default: false },
  },
});
const names = Object.keys(kinds).filter((name) => values.only === undefined || name.includes(values.only));
if (names.length === 0) throw new Error(`There is no kind "${values.only}". Kinds: ${Object.keys(kinds).join(", ")}`);

const root = mkdtempSync(join(tmpdir(), "dblocks-torture-"));
const material = writeMaterial(root);
const random = new Random(Number(values.seed));
const report = (line) => console.log(line);
let failures = 0;
const started = performance.now();
for (const part of values.parts.split(",")) {
  if (part === "kills") failures += await tortureByKills({ root, names, material, random, kills: Number(values.kills), report });
  else if (part === "faults")
    failures += await tortureByFaults({
      every: Number(values.every),
      root,
      names: values.only === undefined ? ["blocks, each operation", "end to end, each operation"] : names,
      material,
      report,
    });
  else if (part === "controls") failures += await runControls({ root, material, report });
  else throw new Error(`There is no part "${part}": kills, faults, controls.`);
}
const seconds = Math.round((performance.now() - started) / 1000);
console.log(
  failures === 0
    ? `no failures, seed ${values.seed}, ${seconds} s`
    : `${failures} FAILURES, seed ${values.seed}; folders are kept in ${root}`,
);
if (failures === 0 && !values.keep) rmSync(root, { recursive: true, force: true });
process.exitCode = failures === 0 ? 0 : 1;
