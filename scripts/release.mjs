#!/usr/bin/env node
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { packFaults, versionFaults } from "./release/checks.mjs";

// npm run release: everything that must hold before this version is published. The package is built anew; its version, contents, size, the licences
// of what it installs, its entry points and its documentation are checked. Nothing is published, tagged or sent: what is left to do is printed.
// Exits with 1 and every fault that it found.

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path) => readFileSync(`${root}/${path}`, "utf8");
const shell = process.platform === "win32";
const faults = [];

/** Runs a command; its last lines are a fault if it fails. */
function check(what, command, ...args) {
  process.stderr.write(`${what} …\n`);
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, encoding: "utf8", maxBuffer: 2 ** 28, shell });
  if (status !== 0)
    faults.push(
      `${what}: ${[command, ...args].join(" ")} ended with ${status}: ${`${stdout}${stderr}`.trim().split("\n").slice(-5).join(" | ")}`,
    );
  return stdout;
}

const lines = (text) => text.split("\n").filter((line) => line !== "");

const changed = lines(check("the checkout", "git", "status", "--porcelain"));
if (changed.length > 0) faults.push(`${changed.length} files are changed or unknown to git: ${changed[0].trim()}`);
const packageJson = JSON.parse(read("package.json"));
faults.push(
  ...versionFaults({
    packageJson,
    lock: JSON.parse(read("package-lock.json")),
    changelog: read("CHANGELOG.md"),
    citation: read("CITATION.cff"),
    tags: lines(check("the tags", "git", "tag", "--list")),
  }),
);
rmSync(`${root}/dist`, { recursive: true, force: true });
check("the build", "npm", "run", "--silent", "build:studio");
const [pack] = JSON.parse(check("the package", "npm", "pack", "--dry-run", "--json", "--ignore-scripts") || "[]");
const sources = readdirSync(`${root}/src`, { recursive: true, encoding: "utf8" }).map((name) => `src/${name.replaceAll("\\", "/")}`);
if (pack !== undefined) faults.push(...packFaults(pack, sources));
check("entry points", "npx", "publint", "--strict");
check("licences and install scripts", "node", "scripts/dependencies.mjs");
check("documentation", "npm", "run", "--silent", "docs");

for (const fault of faults) console.error(`release: ${fault}`);
if (faults.length > 0) process.exitCode = 1;
else {
  const { version } = packageJson;
  console.log(
    `diffusion-blocks ${version} is ready: ${pack.entryCount} files, ${(pack.size / 1e6).toFixed(2)} MB packed, ${(pack.unpackedSize / 1e6).toFixed(2)} MB unpacked.`,
  );
  console.log("Left to its owner, after the tests (.ci/run), from a workflow that the registry trusts:");
  console.log(`  git tag v${version} && git push origin v${version}`);
  console.log("  npm publish --provenance --access public");
}
