import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encode } from "fast-png";
import { afterAll } from "vitest";
import { readSafetensors } from "../../src/formats/index.ts";

/** The built command line, run as users run it: each call is a process, in a folder that every test file has for itself. */
export const main: string = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
export const goldenFolder: string = process.env.DBLOCKS_GOLDEN ?? fileURLToPath(new URL("../../../shared/golden", import.meta.url));
export const folder: string = mkdtempSync(join(tmpdir(), "dblocks-cli-"));
// A disk of its own can be mounted only by root, and not in every container.
export const smallDisk: string = join(folder, "small-disk");
export const isMounted: boolean = process.platform === "linux" && process.getuid?.() === 0 && mounts(smallDisk);
afterAll(() => {
  if (isMounted) execFileSync("umount", [smallDisk]);
  rmSync(folder, { recursive: true, force: true });
});

/** Mounts a disk of 180 kB, if this process may. */
function mounts(path: string): boolean {
  mkdirSync(path, { recursive: true });
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=180k", "tmpfs", path], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function dblocks(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], { cwd: folder }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
    );
  });
}

/** A data set of 200 + 40 images in CIFAR-10's format, small enough for tests. */
export const data = join(folder, "data");
mkdirSync(data);
export const records = (count: number, seed: number): Uint8Array => {
  const bytes = new Uint8Array(count * 3073);
  for (let i = 0; i < bytes.length; i++) bytes[i] = i % 3073 === 0 ? (i / 3073) % 10 : (Math.imul(i + seed, 2_654_435_761) >>> 20) % 256;
  return bytes;
};
writeFileSync(join(data, "data_batch_1.bin"), records(200, 1));
writeFileSync(join(data, "test_batch.bin"), records(40, 2));

/** A grey square of this side. */
export const png = (side: number, grey: number): Uint8Array =>
  encode({ width: side, height: side, channels: 3, depth: 8, data: new Uint8Array(3 * side * side).fill(grey) });

export const small = [
  "--data",
  data,
  "--epochs",
  "3",
  "--batch",
  "20",
  "--width",
  "16",
  "--heads",
  "2",
  "--patch",
  "8",
  "--layers",
  "3",
  "--threads",
  "1",
  "--dropout",
  "0.1",
  "--ema",
  "0.9",
  "--save-every",
  "7",
];
export const train = (run: string, ...more: string[]): Promise<Outcome> =>
  dblocks("train", "vit", "--run", join(folder, run), ...small, ...more);

/** Every array of a run's last checkpoints. */
export function weights(run: string): Record<string, string> {
  const all: Record<string, string> = {};
  for (let b = 0; b < 3; b++) {
    const file = readSafetensors(readFileSync(join(folder, run, `block-${b}`, "step-000030.safetensors")));
    for (const [name, { data: bytes }] of file.tensors) all[`${b}/${name}`] = Buffer.from(bytes).toString("base64");
  }
  return all;
}

/** Starts a command, and resolves as soon as a file is there (or the command has ended): the moment to interrupt it. */
export async function startUntil(
  file: string,
  args: readonly string[],
): Promise<{ child: ChildProcess; ended: Promise<number | null>; stderr: () => string }> {
  const child = spawn(process.execPath, [main, ...args], { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  let stderr = "";
  child.stderr!.on("data", (chunk) => {
    stderr += String(chunk);
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  while (!existsSync(file) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 5));
  return { child, ended, stderr: () => stderr };
}

export const trainArgs = (run: string, ...more: string[]): string[] => ["train", "vit", "--run", join(folder, run), ...small, ...more];
