import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "dblocks-following-"));
const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

function dblocks(...words: string[]): string {
  return execFileSync(process.execPath, [main, ...words], { encoding: "utf8", cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
}

beforeAll(() => {
  const small = ["--width", "16", "--heads", "2", "--layers", "2", "--blocks", "2", "--patch", "16", "--batch", "8", "--max-steps", "2"];
  dblocks("train", "vit", ...small, "--run", "runs/one", "--quiet");
  dblocks("train", "vit", ...small, "--run", "runs/two", "--seed", "1", "--quiet");
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("runs lists the runs of a folder, diff their differences", () => {
  const lines = dblocks("runs").trim().split("\n");
  expect(lines.slice(-2).map((line) => line.trim().split(/\s{2,}/))).toEqual([
    ["one", "trained", "vit, blocks, embedded", "2/2"],
    ["two", "trained", "vit, blocks, embedded", "2/2"],
  ]);
  expect(JSON.parse(dblocks("runs", "diff", "runs/one", "runs/two", "--json"))).toEqual([{ key: "training.seed", a: 0, b: 1 }]);
  expect(dblocks("runs", "diff", "runs/one", "runs/one")).toBe("The two runs have the same configuration.\n");
});

test("watch ends with the table where nobody trains", () => {
  expect(dblocks("watch", "runs/one")).toMatch(/block-0 +trained +2\/2/);
});

test("completion gives a script that a shell takes: commands, then models and options", () => {
  const script = join(folder, "completion.bash");
  writeFileSync(script, dblocks("completion", "bash"));
  const complete = (...words: string[]): string[] =>
    execFileSync(
      "bash",
      [
        "-c",
        `. ${script}; COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}; _dblocks; echo "\${COMPREPLY[@]}"`,
      ],
      { encoding: "utf8", cwd: folder },
    )
      .trim()
      .split(" ");
  expect(complete("dblocks", "eva")).toEqual(["evaluate"]);
  expect(complete("dblocks", "train", "mask")).toEqual(["masked-diffusion"]);
  expect(complete("dblocks", "train", "vit", "--overl")).toEqual(["--overlap"]);
  expect(complete("dblocks", "evaluate", "ru")).toEqual(["runs"]);
  expect(dblocks("completion", "zsh")).toContain("bashcompinit");
  expect(dblocks("completion", "fish")).toContain("-n '__fish_seen_subcommand_from train' -l overlap");
});
