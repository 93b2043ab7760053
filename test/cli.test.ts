import { execFile, spawn } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { readSafetensors } from "../src/formats/index.ts";

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const golden = join(process.env.DBLOCKS_GOLDEN ?? fileURLToPath(new URL("../../shared/golden", import.meta.url)), "vit_dblock.safetensors");
const folder = mkdtempSync(join(tmpdir(), "dblocks-cli-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function dblocks(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], { cwd: folder }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
    );
  });
}

/** A data set of 200 + 40 images in CIFAR-10's format, small enough for tests. */
const data = join(folder, "data");
mkdirSync(data);
const records = (count: number, seed: number): Uint8Array => {
  const bytes = new Uint8Array(count * 3073);
  for (let i = 0; i < bytes.length; i++) bytes[i] = i % 3073 === 0 ? (i / 3073) % 10 : (Math.imul(i + seed, 2_654_435_761) >>> 20) % 256;
  return bytes;
};
writeFileSync(join(data, "data_batch_1.bin"), records(200, 1));
writeFileSync(join(data, "test_batch.bin"), records(40, 2));

const small = [
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
const train = (run: string, ...more: string[]): Promise<Outcome> => dblocks("train", "vit", "--run", join(folder, run), ...small, ...more);

/** Every array of a run's last checkpoints. */
function weights(run: string): Record<string, string> {
  const all: Record<string, string> = {};
  for (let b = 0; b < 3; b++) {
    const file = readSafetensors(readFileSync(join(folder, run, `block-${b}`, "step-000030.safetensors")));
    for (const [name, { data: bytes }] of file.tensors) all[`${b}/${name}`] = Buffer.from(bytes).toString("base64");
  }
  return all;
}

describe("train", () => {
  test("trains, evaluates, verifies, and goes on after a kill as if nothing had happened", async () => {
    const whole = await train("whole", "--json");
    expect(whole.stderr).not.toContain("Error");
    expect(whole.code).toBe(0);
    const result = JSON.parse(whole.stdout);
    expect(result.finished).toBe(true);
    expect(Object.keys(result.evaluation.units)).toEqual(["block-0", "block-1", "block-2"]);
    expect(existsSync(join(folder, "whole", "report.html"))).toBe(true);

    const killed = spawn(process.execPath, [main, "train", "vit", "--run", join(folder, "killed"), ...small], { stdio: "ignore" });
    const firstCheckpoint = join(folder, "killed", "block-1", "step-000007.safetensors");
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        if (!existsSync(firstCheckpoint) && killed.exitCode === null) return;
        clearInterval(timer);
        killed.kill("SIGKILL");
        resolve();
      }, 5);
    });
    expect((await train("killed")).code).toBe(0);
    expect(weights("killed")).toEqual(weights("whole"));

    const evaluated = await dblocks("evaluate", join(folder, "whole"), "--json");
    expect(JSON.parse(evaluated.stdout).mean).toBeCloseTo(result.evaluation.mean, 6);

    const verified = await dblocks("verify", join(folder, "whole"), "--json");
    expect(JSON.parse(verified.stdout)).toMatchObject({ ok: true });

    cpSync(join(folder, "whole"), join(folder, "swapped"), { recursive: true });
    cpSync(join(folder, "whole", "block-0"), join(folder, "swapped", "block-2"), { recursive: true });
    expect((await dblocks("verify", join(folder, "swapped"))).code).toBe(1);
  });

  test("in parallel processes and interleaved gives the weights of the sequential run", async () => {
    const [parallel, interleaved] = [
      await train("parallel", "--schedule", "parallel"),
      await train("interleaved", "--schedule", "interleaved"),
    ];
    expect([parallel.code, interleaved.code]).toEqual([0, 0]);
    expect(weights("parallel")).toEqual(weights("whole"));
    expect(weights("interleaved")).toEqual(weights("whole"));
  });

  test("saves when it is interrupted and says how to go on", async () => {
    const child = spawn(process.execPath, [main, "train", "vit", "--run", join(folder, "interrupted"), ...small, "--epochs", "300"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let stderr = "";
    child.stderr.on("data", (chunk) => {
      stderr += String(chunk);
    });
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        if (!existsSync(join(folder, "interrupted", "block-0", "step-000007.safetensors")) && child.exitCode === null) return;
        clearInterval(timer);
        resolve();
      }, 5);
    });
    child.kill("SIGINT");
    const code = await new Promise((resolve) => child.once("close", resolve));
    expect(code).toBe(130);
    expect(stderr).toMatch(/everything done so far is saved.*dblocks train vit/);
  });
});

describe("bad input is one clear line and the right exit code", () => {
  const bad = (name: string, bytes: Uint8Array): string => {
    const path = join(folder, name);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, "data_batch_1.bin"), bytes);
    writeFileSync(join(path, "test_batch.bin"), records(40, 2));
    return path;
  };
  const mislabelled = records(20, 3);
  mislabelled[3073 * 4] = 77;

  test.each<[string, string[], number, RegExp]>([
    ["missing data", ["train", "vit", "--data", "/nowhere"], 1, /There is no data at \/nowhere/],
    [
      "truncated data",
      ["train", "vit", "--data", bad("truncated", records(20, 1).subarray(0, 9000))],
      1,
      /data_batch_1\.bin is cut off: 9000 bytes/,
    ],
    ["a label out of range", ["train", "vit", "--data", bad("mislabelled", mislabelled)], 1, /record 4 has label 77/],
    ["an unknown option", ["train", "vit", "--speed", "9"], 2, /unknown option '--speed'/],
    ["an unknown setting", ["train", "vit", "--set", "training.speed=9"], 2, /speed/],
    ["a wrong value", ["train", "vit", "--set", "training.epochs=many"], 2, /epochs/],
    ["no number", ["train", "vit", "--epochs", "many"], 2, /number is expected/],
    [
      "blocks that do not divide the layers",
      ["train", "vit", "--data", data, "--layers", "7", "--blocks", "3", "--batch", "20"],
      2,
      /7 layers do not divide into 3 equal blocks/,
    ],
    ["a batch larger than the data", ["train", "vit", "--data", data, "--batch", "9999"], 2, /batch of 9999 cannot be drawn from 200/],
    ["a patch that does not divide the image", ["train", "vit", "--data", data, "--patch", "5"], 2, /patches of 5 do not divide/],
    ["no run", ["evaluate", "nothing-here"], 1, /no run in/],
    ["nothing to verify", ["verify", "nothing-here"], 1, /nothing at nothing-here/],
    ["no command", ["fly"], 2, /unknown command 'fly'/],
  ])("%s", async (_, args, code, message) => {
    const outcome = await dblocks(...args, ...(args[0] === "train" ? ["--run", join(folder, "bad"), "--threads", "1"] : []));
    expect(outcome.stderr).toMatch(message);
    expect(outcome.stderr).not.toMatch(/\n\s+at /);
    expect(outcome.stderr.trim().split("\n").length).toBeLessThanOrEqual(code === 2 ? 2 : 1);
    expect(outcome.code).toBe(code);
  });

  test("another configuration in a run's folder is refused and the run stays as it was", async () => {
    const before = weights("whole");
    const outcome = await train("whole", "--lr", "0.5");
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toMatch(/training\.learningRate/);
    expect(weights("whole")).toEqual(before);
  });

  test.skipIf(process.getuid?.() === 0)("a folder that cannot be written", async () => {
    const locked = join(folder, "locked");
    mkdirSync(locked);
    chmodSync(locked, 0o500);
    expect((await train("locked/run")).code).toBe(1);
  });
});

describe("other commands", () => {
  test("partition prints descending boundaries and ranges, block 0 first", async () => {
    const { boundaries, ranges, rangesWithOverlap } = JSON.parse((await dblocks("partition", "--blocks", "3", "--json")).stdout);
    const expected = [80, 0.505041, 0.179632, 0.002];
    for (const [i, boundary] of boundaries.entries()) expect(boundary / expected[i]!).toBeCloseTo(1, 5);
    expect(ranges).toEqual([0, 1, 2].map((b) => [boundaries[b + 1], boundaries[b]]));
    expect(rangesWithOverlap[1][0]).toBeLessThan(ranges[1][0]);
  });

  test("plan predicts less memory for blocks, least with checkpointing, and finds what fits a budget", async () => {
    const args = ["plan", "vit", "--batch", "64", "--blocks", "3", "--layers", "12", "--json"];
    const report = JSON.parse((await dblocks(...args)).stdout);
    for (const key of ["parameters", "gradients", "optimizer", "activations", "peak"]) expect(report.endToEnd[key]).toBeGreaterThan(0);
    expect(report.blocks.perBlock).toHaveLength(3);
    expect(report.blocks.peak).toBeLessThan(report.endToEnd.peak);
    expect(report.blocksCheckpointing.peak).toBeLessThan(report.blocks.peak);
    expect(report.endToEndCheckpointing.activations).toBeLessThan(0.5 * report.endToEnd.activations);
    const { fit } = JSON.parse((await dblocks(...args, "--budget", `${report.blocks.peak + 1}`)).stdout);
    expect(fit.peak).toBeLessThanOrEqual(report.blocks.peak + 1);
    expect((await dblocks(...args, "--budget", "1MB")).code).toBe(2);
  });

  test("doctor finds a backend", async () => {
    const { backends } = JSON.parse((await dblocks("doctor", "--json")).stdout);
    expect(backends.some((backend: { available: boolean }) => backend.available)).toBe(true);
  });

  test.skipIf(!existsSync(golden))("verify recomputes the reference file, and finds a tampered one", async () => {
    const outcome = await dblocks("verify", golden, "--json");
    expect(JSON.parse(outcome.stdout)).toMatchObject({ ok: true });
    const bytes = readFileSync(golden);
    const { data: weight } = readSafetensors(bytes).tensors.get("param.layers.0.up.weight")!;
    weight[6]! ^= 0x10; // an exponent bit of the first element
    const tampered = join(folder, "tampered.safetensors");
    writeFileSync(tampered, bytes);
    expect((await dblocks("verify", tampered)).code).toBe(1);
  });

  test("every command explains itself", async () => {
    for (const command of ["train", "evaluate", "plan", "partition", "verify", "bench", "doctor", "demo"]) {
      const { code, stdout } = await dblocks(command, "--help");
      expect(code).toBe(0);
      expect(stdout).toContain("Options:");
    }
  });
});
