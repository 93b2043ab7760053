import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { packFaults, sizeLimits, versionFaults } from "../scripts/release/checks.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const sources = readdirSync(`${root}/src`, { recursive: true, encoding: "utf8" }).map((name) => `src/${name}`);

describe("a release", () => {
  const ready = {
    packageJson: { version: "1.2.0" },
    lock: { version: "1.2.0", packages: { "": { version: "1.2.0" } } },
    changelog: "# Changelog\n\n## 1.2.0\n\n- New.\n\n## 1.1.0\n\n- Old.\n",
    citation: "title: x\nversion: 1.2.0\n",
    tags: ["v1.1.0"],
  };

  test("has one version everywhere, with a section of its own in the changelog", () => {
    expect(versionFaults(ready)).toEqual([]);
    for (const [change, fault] of [
      [{ packageJson: { version: "1.2" } }, /1\.2 is no semantic version/],
      [
        { lock: { version: "1.1.0", packages: { "": { version: "1.2.0" } } } },
        /package-lock\.json has version 1\.1\.0, package\.json 1\.2\.0/,
      ],
      [{ lock: { version: "1.2.0", packages: { "": { version: "1.1.0" } } } }, /its root package has version 1\.1\.0/],
      [{ citation: "title: x\n" }, /CITATION\.cff has version undefined/],
      [{ changelog: ready.changelog.replace("## 1.2.0", "## Unreleased") }, /1 entries are still under "Unreleased"/],
      [{ changelog: ready.changelog.replace("- New.\n", "") }, /says nothing of 1\.2\.0/],
      [{ changelog: `## 1.3.0\n\n- Newer.\n\n${ready.changelog}` }, /the newest version is 1\.3\.0/],
      [{ tags: ["v1.2.0"] }, /there is a tag v1\.2\.0 already/],
    ] as const)
      expect(versionFaults({ ...ready, ...change })).toContainEqual(expect.stringMatching(fault));
  });

  test("holds what it needs and nothing else, of sources that are there, and is small", () => {
    const needed = ["LICENSE", "README.md", "docs/GUIDE.md", "examples/one-block.mjs", "package.json"];
    const built = ["cli/main.js", "index.d.ts", "index.js", "node.d.ts", "node.js", "studio/page/index.html"].map((name) => `dist/${name}`);
    const pack = (more: readonly string[] = [], sizes = {}) => ({
      files: [...needed, ...built, ...more].map((path) => ({ path })),
      size: 1e6,
      unpackedSize: 3e6,
      ...sizes,
    });
    expect(packFaults(pack(), sources)).toEqual([]);
    const without = pack();
    expect(packFaults({ ...without, files: without.files.slice(1) }, sources)).toEqual(["the package lacks LICENSE"]);
    for (const [path, fault] of [
      ["dist/index.js.map", /maps of sources/],
      ["dist/studio/page/ort/ort-wasm.wasm", /holds ONNX Runtime/],
      ["src/index.ts", /what only a checkout needs: src\/index\.ts/],
      ["dist/train/loop.test.js", /holds tests/],
      [".env", /private/],
      ["dist/gone/away.js", /dist\/gone\/away\.js is of no source/],
    ] as const)
      expect(packFaults(pack([path]), sources)).toContainEqual(expect.stringMatching(fault));
    expect(packFaults(pack([], { size: sizeLimits.packed + 1 }), sources)).toEqual([
      expect.stringMatching(/2\.50 MB packed, more than 2\.50 MB/),
    ]);
  });

  test("publishes nothing: the script that checks one runs none of the commands that send", () => {
    const text = readFileSync(`${root}/scripts/release.mjs`, "utf8");
    const commands = [...text.matchAll(/check\("[^"]*", ("[^)]*")\)/g)].map(([, words]) => words!.replaceAll('"', "").replaceAll(",", ""));
    expect(commands).toEqual([
      "git status --porcelain",
      "git tag --list",
      "npm run --silent build:studio",
      "npm pack --dry-run --json --ignore-scripts",
      "npx publint --strict",
      "node scripts/dependencies.mjs",
      "npm run --silent docs",
    ]);
  });

  test("of this checkout: whatever npm would pack is wanted", () => {
    const [pack] = JSON.parse(
      execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
        cwd: root,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      }),
    );
    // The page may not be built here, and a build may be older than its sources: both are made anew for a release.
    const faults = packFaults(pack, sources).filter((fault: string) => !/is of no source|lacks dist\//.test(fault));
    expect(faults).toEqual([]);
  });
});
