#!/usr/bin/env node
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

// npm run dependencies: what is installed with the package, by licence; install scripts; and what the registry's audit knows of it. Exits
// with 1 for a licence or an install script that is not expected, and for a known fault that is high or critical.

const licences = ["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BlueOak-1.0.0", "ISC", "MIT"];

/** Packages that may run a script when they are installed: SECURITY.md says what each does. */
const withScripts = ["onnxruntime-node", "protobufjs"];

const { packages } = JSON.parse(readFileSync(new URL("../package-lock.json", import.meta.url), "utf8"));
const installed = Object.entries(packages)
  .filter(([path, { dev, devOptional, peer }]) => path !== "" && !dev && !devOptional && !peer)
  .map(([path, { version, license = "none", hasInstallScript = false }]) => ({
    name: path.replace(/^.*node_modules\//, ""),
    version,
    license,
    hasInstallScript,
  }));

const faults = [];
for (const license of [...new Set(installed.map((one) => one.license))].sort()) {
  const own = installed.filter((one) => one.license === license);
  console.log(`${license}: ${own.map(({ name, version }) => `${name} ${version}`).join(", ")}`);
  const isKnown = license
    .replace(/[()]/g, "")
    .split(" OR ")
    .some((one) => licences.includes(one));
  if (!isKnown) faults.push(`the licence ${license} is not among ${licences.join(", ")}`);
}
const scripted = installed.filter(({ hasInstallScript }) => hasInstallScript).map(({ name }) => name);
console.log(`install scripts: ${scripted.join(", ") || "none"}`);
for (const name of scripted) if (!withScripts.includes(name)) faults.push(`${name} runs a script when it is installed`);

const { stdout } = spawnSync("npm", ["audit", "--omit=dev", "--json"], { encoding: "utf8", timeout: 120_000 });
const known = vulnerabilities(stdout);
if (known === undefined)
  console.log("audit: the registry that npm is set up with answers no audits; ask one that does: npm audit --omit=dev");
else {
  console.log(
    `audit: ${Object.entries(known)
      .map(([level, count]) => `${level} ${count}`)
      .join(", ")}`,
  );
  if (known.high + known.critical > 0) faults.push("npm audit knows faults that are high or critical");
}
for (const fault of faults) console.error(`dependencies: ${fault}`);
process.exitCode = faults.length > 0 ? 1 : 0;

function vulnerabilities(text) {
  try {
    return JSON.parse(text).metadata?.vulnerabilities;
  } catch {
    return undefined;
  }
}
