import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const faultyDisk = fileURLToPath(new URL("./faultyDisk.mjs", import.meta.url));

/** A command in a folder. */
export const commandWords = (words, folder) => [...words, "--run", folder, ...(words[0] === "train" ? ["--quiet"] : [])];

/**
 * Runs the command line to its end.
 *
 * @param options.killAfter milliseconds after which the whole group of processes, or the parent alone, gets SIGKILL.
 * @param options.fault environment of the faulty disk.
 */
export function runCommand(words, { killAfter, parentOnly = false, fault, env = {} } = {}) {
  return new Promise((resolve) => {
    const options = fault === undefined ? {} : { NODE_OPTIONS: `--import=${faultyDisk}`, ...fault };
    const child = spawn(process.execPath, [main, ...words], {
      detached: true,
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, ...options, ...env },
    });
    let stderr = "";
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    const timer = killAfter === undefined ? undefined : setTimeout(() => killGroup(child.pid, parentOnly), killAfter);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stderr });
    });
  });
}

function killGroup(pid, parentOnly) {
  try {
    process.kill(parentOnly ? pid : -pid, "SIGKILL");
  } catch {
    // it has just ended
  }
}
