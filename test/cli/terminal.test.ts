import { execFile, execFileSync } from "node:child_process";
import { promisify, stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { folder, main, trainArgs } from "../support/cli.ts";

/** Whether the command `script` of util-linux is here, which gives a command a terminal of its own. */
function hasPseudoTerminal(): boolean {
  try {
    return execFileSync("script", ["--version"], { encoding: "utf8" }).includes("util-linux");
  } catch {
    return false;
  }
}

describe("in a terminal (skipped where util-linux's script is missing)", () => {
  test.runIf(hasPseudoTerminal())("progress is one line that is written over and never wraps", async () => {
    for (const columns of [80, 44]) {
      const words = [process.execPath, main, ...trainArgs(`terminal-${columns}`, "--max-steps", "6")];
      const command = `stty cols ${columns} rows 24; ${words.map((word) => `'${word}'`).join(" ")}`;
      const { stdout } = await promisify(execFile)("script", ["-qec", command, "/dev/null"], { cwd: folder });
      const refreshes = stdout.split("\r\u001b[2K").slice(1);
      const lines = refreshes.map((refresh) => stripVTControlCharacters(refresh.split(/[\r\n]/)[0]!));
      expect(lines.filter((line) => /^block-2 .*6\/6/.test(line))).toHaveLength(1);
      expect(lines.filter((line) => line.length >= columns)).toEqual([]);
      expect(Math.max(...lines.map((line) => line.length))).toBeGreaterThan(columns / 2);
    }
  });
});
