import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encode } from "fast-png";
import { afterAll, describe, expect, test } from "vitest";
import { asFloat32, readSafetensors } from "../src/formats/index.ts";
import { loadRun } from "../src/runs/index.ts";
import { classes } from "../src/tasks/index.ts";

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const goldenFolder = process.env.DBLOCKS_GOLDEN ?? fileURLToPath(new URL("../../shared/golden", import.meta.url));
const golden = join(goldenFolder, "vit_dblock.safetensors");
const folder = mkdtempSync(join(tmpdir(), "dblocks-cli-"));
// A disk of its own can be mounted only by root, and not in every container.
const smallDisk = join(folder, "small-disk");
const isMounted = process.platform === "linux" && process.getuid?.() === 0 && mounts(smallDisk);
afterAll(() => {
  if (isMounted) execFileSync("umount", [smallDisk]);
  rmSync(folder, { recursive: true, force: true });
});

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

/** A grey square of this side. */
const png = (side: number, grey: number): Uint8Array =>
  encode({ width: side, height: side, channels: 3, depth: 8, data: new Uint8Array(3 * side * side).fill(grey) });

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

/** Starts a command, and resolves as soon as a file is there (or the command has ended): the moment to interrupt it. */
async function startUntil(
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

const trainArgs = (run: string, ...more: string[]): string[] => ["train", "vit", "--run", join(folder, run), ...small, ...more];

describe("train", () => {
  test("trains, evaluates, verifies, and goes on after a kill as if nothing had happened", async () => {
    const whole = await train("whole", "--json");
    expect(whole.code).toBe(0);
    expect(whole.stderr).toMatch(/3 units, 30 steps each/);
    expect(whole.stderr).not.toContain("\u001b");
    const result = JSON.parse(whole.stdout);
    expect(result).toMatchObject({ finished: true, steps: { "block-0": 30, "block-1": 30, "block-2": 30 } });
    expect(Object.keys(result.evaluation.units)).toEqual(["block-0", "block-1", "block-2"]);
    const report = readFileSync(join(folder, "whole", "report.html"), "utf8");
    for (const part of ["block-1 alone", "training.learningRate", "data:image/png"]) expect(report).toContain(part);

    const { child, ended } = await startUntil(join(folder, "killed", "block-1", "step-000007.safetensors"), trainArgs("killed"));
    await new Promise((resolve) => setTimeout(resolve, 100 * Math.random()));
    child.kill("SIGKILL");
    await ended;
    expect((await train("killed")).code).toBe(0);
    expect(weights("killed")).toEqual(weights("whole"));

    const evaluated = JSON.parse((await dblocks("evaluate", join(folder, "whole"), "--json")).stdout);
    expect(evaluated).toEqual(result.evaluation);
    expect(evaluated.accuracies).toHaveLength(3);
    expect(evaluated.crossEntropy.map(({ sigma }: { sigma: number }) => sigma)).toEqual([80, 10, 1, 0.3, 0.1]);

    const verified = await dblocks("verify", join(folder, "whole"), "--json");
    expect(JSON.parse(verified.stdout)).toMatchObject({ ok: true });

    cpSync(join(folder, "whole"), join(folder, "swapped"), { recursive: true });
    cpSync(join(folder, "whole", "block-0"), join(folder, "swapped", "block-2"), { recursive: true });
    expect((await dblocks("verify", join(folder, "swapped"))).code).toBe(1);
  });

  test("a run that is trained is evaluated on other data of its shape, and refuses data of another", async () => {
    const other = join(folder, "other");
    for (const [split, count] of [
      ["train", 4],
      ["test", 2],
    ] as const) {
      for (let k = 0; k < 10; k++) {
        mkdirSync(join(other, split, `class-${k}`), { recursive: true });
        for (let i = 0; i < count; i++) writeFileSync(join(other, split, `class-${k}`, `${i}.png`), png(32, 16 * i + k));
      }
    }
    const same = await dblocks("evaluate", join(folder, "whole"), "--data", other, "--seeds", "1", "--per-class");
    expect(same.code).toBe(0);
    expect(same.stdout).toMatch(/class-9/);
    rmSync(join(other, "train", "class-9"), { recursive: true });
    rmSync(join(other, "test", "class-9"), { recursive: true });
    const different = await dblocks("evaluate", join(folder, "whole"), "--data", other);
    expect(different).toMatchObject({ code: 2 });
    expect(different.stderr).toMatch(/was trained on cifar-10; other has samples or classes of another size/);
  });

  test("in parallel processes and interleaved gives the weights of the sequential run", async () => {
    const [parallel, interleaved] = [
      await train("parallel", "--schedule", "parallel"),
      await train("interleaved", "--schedule", "interleaved"),
    ];
    expect([parallel.code, interleaved.code]).toEqual([0, 0]);
    expect(parallel.stderr).toMatch(/^\[block-2\] .*block-2 step 30/m);
    expect(weights("parallel")).toEqual(weights("whole"));
    expect(weights("interleaved")).toEqual(weights("whole"));
    expect(JSON.parse(readFileSync(join(folder, "parallel", "config.json"), "utf8")).execution.schedule).toBe("parallel");
  });

  test("blocks that are trained one by one, each by a command of its own, make the same run", async () => {
    for (const block of ["2", "0", "1"]) {
      const one = await train("single", "--block", block);
      expect(one).toMatchObject({ code: 0, stdout: expect.stringContaining(`block-${block}: trained`) });
    }
    const together = await dblocks("train", "vit", "--run", join(folder, "single"), "--json");
    expect(JSON.parse(together.stdout).evaluation).toEqual(JSON.parse(readFileSync(join(folder, "whole", "evaluation.json"), "utf8")));
    expect(weights("single")).toEqual(weights("whole"));
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGUSR1", 75],
  ] as const)("saves on %s, says how to resume, and ends with %i; so does every process of a parallel run", async (signal, expected) => {
    const schedule = signal === "SIGTERM" ? "parallel" : "sequential";
    const run = join(folder, signal);
    const long = trainArgs(signal, "--epochs", "3000", "--schedule", schedule);
    const { child, ended, stderr } = await startUntil(join(run, "block-0", "step-000007.safetensors"), long);
    child.kill(signal);
    expect(await ended).toBe(expected);
    expect(stderr()).toMatch(/everything done so far is saved. To resume: dblocks train vit --run \S+$/m);
    const [saved] = readdirSync(join(run, "block-0"))
      .filter((name) => name.startsWith("step-"))
      .sort()
      .reverse();
    const log = readFileSync(join(run, schedule === "parallel" ? "block-0" : "", "metrics.jsonl"), "utf8")
      .trimEnd()
      .split("\n");
    const logged = Math.max(0, ...log.filter(Boolean).map((line) => JSON.parse(line).step));
    expect(Number(/\d+/.exec(saved!)![0])).toBeGreaterThanOrEqual(logged);
  });

  test("a loss that is not a number stops the run with one line and keeps the checkpoints before", async () => {
    expect((await train("nan", "--epochs", "1")).code).toBe(0);
    const outcome = await train("nan-rate", "--lr", "1e38", "--save-every", "1");
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toMatch(/dblocks: block-0, step \d+: the (loss|gradient norm) is (NaN|Infinity)/);
    expect(readdirSync(join(folder, "nan-rate", "block-0"))).toContain("step-000001.safetensors");
  });

  test("--dry-run prints the configuration that --config takes", async () => {
    const { stdout } = await train("dry", "--dry-run", "--shared", "average:10");
    const file = join(folder, "config.json");
    writeFileSync(file, stdout);
    const again = await dblocks("train", "vit", "--config", file, "--epochs", "9", "--dry-run");
    const first = JSON.parse(stdout);
    expect(first.method.shared).toBe("average:10");
    expect(JSON.parse(again.stdout)).toEqual({ ...first, training: { ...first.training, epochs: 9 } });
    expect(existsSync(join(folder, "dry"))).toBe(false);
  });

  test("the embedded images need no file", async () => {
    const { code, stdout } = await dblocks(
      "train",
      "vit",
      "--run",
      "embedded",
      ...small.slice(2),
      "--epochs",
      "1",
      "--batch",
      "500",
      "--method",
      "shallow-twin",
      "--evaluate-every",
      "0",
      "--json",
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout).steps).toEqual({ network: 8 });
  });
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
    ["an unknown option", ["train", "vit", "--speed", "9"], 2, /vit trained by blocks has no --speed\. .*"dblocks train vit --help"/],
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
    ["no model", ["train"], 2, /missing required argument 'model'/],
    ["an unknown unit", ["train", "vit", "--data", data, "--batch", "20", "--block", "7"], 2, /no unit "7".*block-0, block-1, block-2/],
    [
      "a block alone of blocks that share",
      ["train", "vit", "--data", data, "--batch", "20", "--block", "0", "--shared", "together"],
      2,
      /--block 0: the units of blocks with --shared together train parameters in common/,
    ],
    [
      "parallel blocks that share",
      ["train", "vit", "--data", data, "--batch", "20", "--shared", "average:5", "--schedule", "parallel"],
      2,
      /--schedule parallel: the units of blocks with --shared average:5 train parameters in common/,
    ],
    ["a configuration file that is missing", ["train", "vit", "--config", "nowhere.json"], 2, /nowhere\.json: the file cannot be read/],
    ["a range of noise that is none", ["train", "vit", "--data", data, "--sigma-min", "90"], 2, /range is \[90, 80\]/],
  ])("%s", async (_, args, code, message) => {
    const outcome = await dblocks(...args, ...(args[0] === "train" ? ["--run", join(folder, "bad"), "--threads", "1"] : []));
    expect(outcome.stderr).toMatch(message);
    expect(outcome.stderr).not.toMatch(/\n\s+at /);
    expect(outcome.stderr.trim().split("\n")).toHaveLength(1);
    expect(outcome.stderr).toMatch(/^dblocks: /);
    expect(outcome.code).toBe(code);
    expect(existsSync(join(folder, "bad"))).toBe(false);
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
    expect(await train("locked/run")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^dblocks: Cannot write .*no permission.*\n$/),
    });
  });

  test("a file where the run's folder should be", async () => {
    writeFileSync(join(folder, "file"), "");
    expect(await train("file/run")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^dblocks: Cannot write .*part of the path is a file.*--run\.\n$/),
    });
  });

  test.skipIf(!isMounted)("a full disk ends the run with one line, and what was saved stays", async () => {
    const outcome = await train("small-disk/run", "--save-every", "5");
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toMatch(/dblocks: Cannot write .*the disk is full/);
    const saved = readdirSync(join(smallDisk, "run", "block-0")).filter((name) => name.endsWith(".safetensors"));
    expect(saved).toContain("step-000005.safetensors");
    for (const name of saved) readSafetensors(readFileSync(join(smallDisk, "run", "block-0", name)));
  });

  test("a failing block of a parallel run is named, and the others are trained", async () => {
    mkdirSync(join(folder, "half", "block-1"), { recursive: true });
    mkdirSync(join(folder, "half", "block-1", "step-000007.safetensors")); // where the first checkpoint should go
    const outcome = await train("half", "--schedule", "parallel");
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toMatch(/dblocks: block-1 ended with exit code 1\. .*the other blocks are saved/);
    expect(existsSync(join(folder, "half", "block-2", "step-000030.safetensors"))).toBe(true);
  });

  test("--debug shows where an error comes from", async () => {
    expect((await dblocks("verify", "nothing-here", "--debug")).stderr).toMatch(/\n\s+at /);
  });
});

interface GoldenPartition extends Readonly<Record<"blocks" | "sigmaMin" | "sigmaMax" | "pMean" | "pStd", number>> {
  readonly equiProbability: readonly number[];
  readonly uniformLogSigma: readonly number[];
  readonly overlap: { readonly gamma: number; readonly clampedRanges: readonly (readonly number[])[] };
}

describe("compare", () => {
  const compare = (run: string, ...more: string[]): Promise<Outcome> =>
    dblocks("compare", "vit", "--run", join(folder, run), ...small, "--epochs", "1", "--seeds", "1", ...more);
  interface Row {
    readonly method: string;
    readonly score: { readonly title: string; readonly value: number };
    readonly seconds: number;
    readonly layerEvaluations: number;
    readonly gradientParameters: number;
  }

  test("trains every system in a process of its own, takes what is there, and writes table, CSV, JSON and report", async () => {
    const first = await compare("compared", "--methods", "end-to-end,greedy", "--json");
    const { runs } = JSON.parse(first.stdout) as { runs: Row[] };
    expect(runs.map(({ method }) => method)).toEqual(["end-to-end", "greedy", "shallow-twin"]);
    expect(runs.every(({ score, seconds }) => score.title === "test accuracy %" && score.value >= 0 && seconds > 0)).toBe(true);
    // 10 steps of 20 images: through 3 layers; through 1 each, and forward through those before; through 1.
    expect(runs.map(({ layerEvaluations }) => layerEvaluations)).toEqual([600, 800, 200]);
    expect(runs[1]!.gradientParameters).toBeLessThan(runs[0]!.gradientParameters);
    const again = await compare("compared", "--methods", "end-to-end,greedy,blocks", "--no-twin", "--json");
    expect(again.stderr.match(/was there/g)).toHaveLength(2);
    expect((JSON.parse(again.stdout) as { runs: Row[] }).runs.slice(0, 2)).toEqual(runs.slice(0, 2));
    expect(readdirSync(join(folder, "compared"))).toEqual(expect.arrayContaining(["compare.csv", "compare.json", "report.html"]));
    expect(
      readFileSync(join(folder, "compared", "compare.csv"), "utf8")
        .trim()
        .split("\n"),
    ).toHaveLength(4);
  });

  test("a perceptron is compared by the methods that fit it, and one unit of greedy training is not trained alone", async () => {
    const options = ["--data", data, "--batch", "20", "--epochs", "1", "--width", "24", "--threads", "1", "--seeds", "1"];
    const { code, stdout } = await dblocks(
      "compare",
      "mlp",
      ...options,
      "--methods",
      "end-to-end,forward-forward",
      "--run",
      join(folder, "mlps"),
    );
    expect([code, stdout]).toEqual([0, expect.stringMatching(/forward-forward.*\n.*shallow-twin/)]);
    const alone = await dblocks("train", "vit", ...small, "--method", "greedy", "--block", "1", "--run", join(folder, "greedy-alone"));
    expect([alone.code, alone.stderr]).toEqual([2, expect.stringMatching(/on finished units before it.*Leave --block out/)]);
  });

  test("--equal-evaluations gives each system the layer evaluations of the first", async () => {
    const methods = ["--methods", "end-to-end,twin-ensemble,blocks", "--no-twin", "--equal-evaluations", "--set", "model.numLayers=6"];
    const { stdout } = await compare("equal", ...methods, "--epochs", "2", "--json");
    const { runs } = JSON.parse(stdout) as { runs: Row[] };
    expect(new Set(runs.map(({ layerEvaluations }) => layerEvaluations)).size).toBe(1);
  });

  test("reproduce prints a table of the paper with the published figures beside ours", async () => {
    const sizes = ["--data", data, "--batch", "20", "--epochs", "1", "--threads", "1", "--seeds", "1"];
    const noProp = ["--denoising-steps", "2", "--inference-steps", "20"];
    const { stdout, code } = await dblocks("reproduce", "noprop", ...sizes, ...noProp, "--run", join(folder, "reproduced"));
    expect(code).toBe(0);
    for (const method of ["backprop", "noprop-dt", "noprop-ct", "noprop-fm", "blocks"]) expect(stdout).toContain(method);
    expect(stdout).toMatch(/published.*CIFAR-100 %/);
    expect(stdout).toContain("46.88");
  });

  test.each<[string, string[], RegExp]>([
    ["an unknown system", ["--methods", "greedy,magic"], /vit has no system "magic"\. Systems: .*end-to-end/],
    ["runs of another configuration", ["--methods", "greedy", "--lr", "0.5"], /another configuration/],
  ])("%s is refused", async (_, options, message) => {
    const { code, stderr } = await compare("compared", ...options);
    expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
  });
});

describe("options belong to a model and a method", () => {
  test.each<[string, string[], RegExp]>([
    ["of another model", ["dit", "--embedding", "learned"], /dit trained by blocks has no --embedding\. It belongs to .*image classifier/],
    ["of another kind of noise", ["masked-diffusion", "--strategy", "uniform"], /no --strategy\. It belongs to .*image generator/],
    [
      "of language models",
      ["vit", "--next-token-weight", "1"],
      /no --next-token-weight\. It belongs to --method blocks of a language model/,
    ],
    ["of images", ["autoregressive", "--patch", "7"], /no --patch\. It belongs to vit; dit/],
    ["a method that does not fit", ["vit", "--method", "noprop-dt"], /noprop-dt cannot train vit: .* Choose --method blocks/],
    ["a mistyped model", ["vti"], /no model "vti"\. Did you mean "vit"/],
    ["a mistyped method", ["vit", "--method", "bloks"], /no method "bloks"\. Did you mean "blocks"/],
    ["a setting of another model", ["dit", "--set", "model.labelToken=class"], /there is no "model\.labelToken"\. .* it belongs to vit/],
  ])("%s is refused, naming where it belongs", async (_, args, message) => {
    const { code, stderr } = await dblocks("train", ...args, "--run", join(folder, "bad"));
    expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
    expect(existsSync(join(folder, "bad"))).toBe(false);
  });

  test("help lists what a model trained by a method has, with its true defaults, and the rest with --all", async () => {
    const help = async (...args: string[]): Promise<string> => (await dblocks("train", ...args, "--help")).stdout.replace(/\s+/g, " ");
    const dit = await help("dit");
    expect(dit).toMatch(/--batch <n> samples in a batch \(default: 16\).*--lr <rate> peak learning rate \(default: 0\.003\)/);
    expect(dit).toMatch(/--p-mean <x> mean of ln sigma in training \(default: -1\.2\)/);
    expect(dit).not.toMatch(/--label-token|--query|--epsilon/);
    expect(await help("dit", "--all")).toContain("--epsilon");
    expect(await help("vit", "--method", "end-to-end")).not.toContain("--p-mean");
  });

  test("partition --for prints the cuts that training would make", async () => {
    const boundaries = async (...args: string[]) => JSON.parse((await dblocks("partition", "--blocks", "3", "--json", ...args)).stdout);
    expect((await boundaries("--for", "vit")).boundaries[1]).toBeCloseTo(18.0118, 3);
    expect((await boundaries("--for", "dit")).boundaries[1]).toBeCloseTo(0.505041, 5);
    expect((await boundaries("--for", "masked-diffusion")).ranges[0]).toEqual([expect.closeTo(2 / 3, 9), 1]);
    expect((await dblocks("partition", "--blocks", "3")).stderr).toMatch(/EDM's noise/);
  });

  test("a run of version 0.1 is refused, saying which version wrote it", async () => {
    mkdirSync(join(folder, "old"));
    writeFileSync(
      join(folder, "old", "config.json"),
      JSON.stringify({ model: "vit", method: "blocks", network: { width: 16 }, blocks: {} }),
    );
    const { code, stderr } = await dblocks("evaluate", join(folder, "old"));
    expect([code, stderr]).toEqual([2, expect.stringMatching(/was written by version 0\.1 of diffusion-blocks/)]);
  });

  test("config schema is a JSON Schema that names every model with every method, and config.json points to its own", async () => {
    const { oneOf } = JSON.parse((await dblocks("config", "schema")).stdout) as { oneOf: { title: string }[] };
    expect(oneOf.map(({ title }) => title)).toEqual(expect.arrayContaining(["vit, blocks", "dit, end-to-end", "noprop-cnn, noprop-fm"]));
    const config = JSON.parse(readFileSync(join(folder, "whole", "config.json"), "utf8"));
    expect(JSON.parse(readFileSync(join(folder, "whole", config.$schema), "utf8")).title).toBe("vit, blocks");
  });

  test("--plugin adds models, as many files as are named, before the command or after it", async () => {
    const door = fileURLToPath(new URL("../dist/index.js", import.meta.url));
    const plugin = (name: string): string => {
      const file = join(folder, `${name}.mjs`);
      writeFileSync(file, `import { mlpModel } from "${door}";\nexport const model = { ...mlpModel, name: "${name}" };\n`);
      return file;
    };
    const plugins = ["one", "two"].flatMap((name) => ["--plugin", plugin(name)]);
    const { stdout } = await dblocks(...plugins, "train", "two", "--data", data, "--width", "7", "--dry-run");
    expect(JSON.parse(stdout).model).toMatchObject({ name: "two", width: 7 });
    expect((await dblocks("train", "one", "--help", ...plugins)).stdout).toContain("--layers");
    const unknown = await dblocks("train", "one", "--data", data, "--dry-run");
    expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining("one")]);
  });

  test("blocks of a trained run answer alone, as often as they are asked for, and leave the model whole", async () => {
    const model = await loadRun(join(folder, "whole"), { task: classes, batchSize: 4 });
    const images = new Uint8Array(2 * 3072).fill(90);
    const first = await model.block(0).predict(images);
    await model.block(2).predict(images);
    expect((await model.block(0).predict(images)).probabilities).toEqual(first.probabilities);
    expect(Math.fround((await model.predict(images)).probabilities.slice(0, 10).reduce((sum, p) => sum + p, 0))).toBeCloseTo(1, 5);
    expect(() => model.block(3)).toThrow(/no block 3; there are 3/);
    await model.dispose();
  });

  test("predict names the classes of images, and measures texts", async () => {
    const image = join(folder, "grey.png");
    writeFileSync(image, png(32, 90));
    const { stdout } = await dblocks("predict", join(folder, "whole"), image, image, "--top-k", "3", "--json");
    const [first, second] = JSON.parse(stdout) as { file: string; classes: { name: string; probability: number }[] }[];
    expect(second!.file).toBe(image);
    expect((await dblocks("predict", join(folder, "whole"), image, image, "--top-k", "3", "--json")).stdout).toBe(stdout);
    expect(first!.classes).toHaveLength(3);
    expect(first!.classes[0]!.probability).toBeGreaterThanOrEqual(first!.classes[1]!.probability);
    expect((await dblocks("predict", join(folder, "whole"), image, "--block", "1")).stdout).toContain("grey.png");
    writeFileSync(join(folder, "large.png"), png(40, 90));
    const refused = await dblocks("predict", join(folder, "whole"), join(folder, "large.png"));
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringMatching(/3 channels of 40×40; the network was trained on 3 of 32×32/),
    ]);
  });
});

describe("images", () => {
  const sizes = ["--data", data, "--batch", "20", "--width", "16", "--heads", "2", "--patch", "8", "--layers", "3", "--threads", "1"];
  const trainDit = (run: string, ...more: string[]): Promise<Outcome> =>
    dblocks("train", "dit", "--run", join(folder, run), ...sizes, "--epochs", "1", ...more);
  const sample = (run: string, ...more: string[]): Promise<Outcome> =>
    dblocks("sample", join(folder, run), "--steps", "4", "--count", "5", ...more);

  test("a diffusion transformer trains in blocks, is evaluated, verified, and draws images that depend on the seed alone", async () => {
    const trained = await trainDit("dit");
    expect([trained.code, trained.stdout]).toEqual([0, expect.stringMatching(/denoising loss on test images/)]);
    const { levels } = JSON.parse((await dblocks("evaluate", join(folder, "dit"), "--json")).stdout) as { levels: { block: string }[] };
    expect(new Set(levels.map(({ block }) => block)).size).toBe(3);
    expect((await dblocks("verify", join(folder, "dit"))).code).toBe(0);

    const [small, large, other] = ["small", "large", "other"].map((name) => join(folder, `${name}.safetensors`));
    await sample("dit", "--batch", "2", "--guidance", "1.5", "--out", small!);
    await sample("dit", "--batch", "8", "--guidance", "1.5", "--out", large!);
    await sample("dit", "--seed", "1", "--out", other!);
    const imagesOf = (file: string): Float32Array => asFloat32(readSafetensors(readFileSync(file)).tensors.get("images")!);
    const [a, b, c] = [small!, large!, other!].map(imagesOf) as [Float32Array, Float32Array, Float32Array];
    expect(a).toHaveLength(5 * 3 * 32 * 32);
    expect(Math.max(...a.map((x, i) => Math.abs(x - b[i]!)))).toBeLessThan(1e-3);
    expect(Math.max(...a.map((x, i) => Math.abs(x - c[i]!)))).toBeGreaterThan(0.1);
    expect((await sample("dit", "--sampler", "euler", "--class", "3", "--out", join(folder, "grid.png"))).code).toBe(0);
    await sample("dit", "--out", `${join(folder, "drawn")}/`);
    expect(readdirSync(join(folder, "drawn"))).toEqual([0, 1, 2, 3, 4].map((i) => `00000${i}-class-${i}.png`));
    await sample("dit", "--out", join(folder, "way.apng"));
    expect(readFileSync(join(folder, "way.apng")).includes("acTL")).toBe(true);
    const features = join(folder, "features.onnx");
    const made = await dblocks(
      "features",
      "--data",
      data,
      "--epochs",
      "1",
      "--threads",
      "1",
      "--run",
      join(folder, "features"),
      "--out",
      features,
    );
    expect(made.stdout).toMatch(/96 features of a classifier/);
    const measured = await dblocks("evaluate", join(folder, "dit"), "--features", features, "--samples", "10", "--steps", "2");
    expect(measured.stdout).toMatch(/FID\[dblocks-features\] to the test images: .*; mean .*, least /);
    expect(measured.stderr).toMatch(/10 images for 96 features: a covariance is singular/);
    expect([...readFileSync(join(folder, "grid.png")).subarray(1, 4)]).toEqual([..."PNG"].map((c) => c.charCodeAt(0)));
  });

  test("compare judges diffusion models by what they draw", async () => {
    const measure = ["--features", join(folder, "features.onnx"), "--samples", "6", "--steps", "2"];
    const { stdout } = await dblocks(
      "compare",
      "dit",
      "--run",
      join(folder, "dits"),
      ...sizes,
      "--epochs",
      "1",
      "--seeds",
      "1",
      ...measure,
      "--json",
    );
    const { runs } = JSON.parse(stdout) as { runs: { method: string; layerEvaluations: number; score: { title: string } }[] };
    expect(runs.map(({ method, layerEvaluations, score }) => [method, layerEvaluations, score.title])).toEqual([
      ["end-to-end", 600, "FID[dblocks-features], test"],
      ["blocks", 600, "FID[dblocks-features], test"],
    ]);
    const without = await dblocks("compare", "dit", "--run", join(folder, "dits-loss"), ...sizes, "--epochs", "1", "--seeds", "1");
    expect([without.code, without.stdout]).toEqual([0, expect.stringMatching(/denoising loss/)]);
  });

  test("bad input is refused in one line", async () => {
    await trainDit("plain", "--method", "end-to-end", "--no-conditional");
    await train("classifier", "--epochs", "1");
    const refused: [Promise<Outcome>, RegExp][] = [
      [sample("dit", "--class", "12"), /--class 12: there are 10: 0 \(.+\) to 9/],
      [sample("plain", "--guidance", "2"), /without classes.*Leave --guidance out/],
      [sample("plain", "--class", "1"), /this network knows no classes/],
      [sample("classifier"), /is a vit, which is for classes and not for images/],
      [sample("dit", "--out", "images.jpg"), /ends in \.png, \.apng or \.safetensors/],
      [sample("nothing"), /There is no run/],
      [dblocks("evaluate", join(folder, "dit"), "--features", "missing.onnx"), /missing\.onnx cannot be read.*dblocks features/],
      [dblocks("evaluate", join(folder, "dit"), "--features", join(data, "test_batch.bin")), /test_batch\.bin is no ONNX model/],
      [trainDit("odd", "--patch", "5"), /patches of 5 do not divide an image of 32/],
      [trainDit("greedy", "--method", "greedy"), /--method greedy cannot train dit/],
    ];
    for (const [outcome, message] of refused) {
      const { code, stderr } = await outcome;
      expect([code, stderr.trim().split("\n")]).toEqual([expect.any(Number), [expect.stringMatching(message)]]);
      expect(code).toBeGreaterThan(0);
    }
  });
});

describe("text", () => {
  const text = join(folder, "text.txt");
  writeFileSync(text, "the quick brown fox jumps over the lazy dog and runs away from the hunter ".repeat(60));
  const sizes = ["--width", "16", "--heads", "2", "--layers", "3", "--length", "16", "--batch", "8", "--threads", "1"];
  const trainText = (run: string, ...more: string[]): Promise<Outcome> =>
    dblocks("train", "masked-diffusion", "--data", text, "--run", join(folder, run), ...sizes, "--epochs", "2", ...more);

  test("a masked diffusion model trains in blocks, is measured in bits, verified, and draws text that depends on the seed alone", async () => {
    const trained = await trainText("text");
    expect([trained.code, trained.stdout]).toEqual([0, expect.stringMatching(/at most .* bits a token on .* of block-2/)]);
    const measured = JSON.parse((await dblocks("evaluate", join(folder, "text"), "--json")).stdout) as { bits: number; uniform: number };
    expect(measured.uniform).toBeCloseTo(Math.log2(27), 9);
    expect(measured.bits).toBeLessThan(measured.uniform);
    expect((await dblocks("verify", join(folder, "text"))).code).toBe(0);
    const draw = async (...more: string[]): Promise<string[]> => {
      const { stdout } = await dblocks("sample", join(folder, "text"), "--count", "3", "--json", ...more);
      return (JSON.parse(stdout) as { text: string; tokens: number[] }[]).map((one) => one.text);
    };
    const texts = await draw("--prompt", "the fox");
    for (const one of texts) expect(one).toMatch(/^the fox[a-z ]{9}$/);
    expect(await draw("--prompt", "the fox", "--batch", "2")).toEqual(texts);
    expect(await draw("--prompt", "the fox", "--seed", "1")).not.toEqual(texts);
  });

  test("it is compared with end-to-end training in bits a token", async () => {
    const options = ["--data", text, "--run", join(folder, "texts"), ...sizes, "--epochs", "1", "--seeds", "1"];
    const { stdout } = await dblocks("compare", "masked-diffusion", ...options, "--json");
    const { runs } = JSON.parse(stdout) as { runs: { method: string; score: { value: number }; layerEvaluations: number }[] };
    expect(runs.map(({ method }) => method)).toEqual(["end-to-end", "blocks"]);
    expect(new Set(runs.map(({ layerEvaluations }) => layerEvaluations)).size).toBe(1);
    for (const { score } of runs) expect(score.value).toBeLessThan(6);
  });

  test("bad input is refused in one line", async () => {
    writeFileSync(join(folder, "latin1.txt"), Uint8Array.of(0x61, 0xe9, 0x62));
    const refused: [Promise<Outcome>, RegExp][] = [
      [trainText("a", "--data", "nothing.txt"), /There is no text at nothing\.txt/],
      [trainText("b", "--data", join(folder, "latin1.txt")), /byte 1 does not fit/],
      [trainText("c", "--length", "4000"), /fewer than a batch of 8 windows of 4000/],
      [trainText("d", "--heads", "16"), /16 heads must divide a width of 16 into even parts/],
      [trainText("e", "--method", "greedy"), /--method greedy cannot train masked-diffusion/],
      [dblocks("sample", join(folder, "text"), "--prompt", "The"), /"T" at character 0/],
      [dblocks("sample", join(folder, "text"), "--prompt", "the fox runs over the dog"), /25 tokens are more than there is room for/],
    ];
    for (const [outcome, message] of refused) {
      const { code, stderr } = await outcome;
      expect([code, stderr.trim().split("\n")]).toEqual([expect.any(Number), [expect.stringMatching(message)]]);
      expect(code).toBeGreaterThan(0);
    }
  });
});

describe("language models", () => {
  const text = join(folder, "language.txt");
  writeFileSync(text, "the quick brown fox jumps over the lazy dog and runs away from the hunter ".repeat(60));
  const sizes = ["--width", "16", "--heads", "2", "--length", "16", "--batch", "8", "--threads", "1", "--lr", "1e-2"];
  const trainLanguage = (model: string, run: string, ...more: string[]): Promise<Outcome> =>
    dblocks("train", model, "--data", text, "--run", join(folder, run), ...sizes, "--epochs", "2", ...more);
  const draw = async (run: string, ...more: string[]): Promise<string[]> => {
    const { stdout } = await dblocks("sample", join(folder, run), "--count", "3", "--tokens", "9", "--json", ...more);
    return (JSON.parse(stdout) as { text: string; tokens: number[] }[]).map((one) => one.text);
  };

  test.each([
    ["autoregressive", "language-own", ["--layers", "4", "--blocks", "2"], ["blocks together", "block 0", "block 1", "diffusion"]],
    ["autoregressive", "language-stacked", ["--layers", "4", "--blocks", "2", "--context", "stacked"], ["block 1", "block 0", "diffusion"]],
    [
      "autoregressive",
      "language-turns",
      [
        "--layers",
        "2",
        "--blocks",
        "2",
        "--context",
        "stacked",
        "--next-token-weight",
        "1",
        "--next-token-place",
        "network",
        "--readout",
        "next-token",
      ],
      ["next-token head 1", "block 1", "block 0", "diffusion"],
    ],
    [
      "autoregressive",
      "language-handed",
      ["--layers", "2", "--blocks", "2", "--scheduled-sampling", "0.5"],
      ["blocks together", "block 0", "block 1", "diffusion"],
    ],
    [
      "autoregressive",
      "language-groups",
      ["--layers", "2", "--blocks", "2", "--group", "4"],
      ["diffusion", "blocks together", "block 0", "block 1"],
    ],
    ["autoregressive", "language-whole", ["--layers", "2", "--key-heads", "1", "--method", "end-to-end"], ["next token"]],
    ["recurrent-depth", "language-denoiser", ["--layers", "1"], ["block 0", "diffusion"]],
  ])("%s, %s: trains, tells its perplexity, and writes text that depends on the seed alone", async (model, run, more, likelihoods) => {
    const trained = await trainLanguage(model, run, ...more);
    expect([trained.code, trained.stdout]).toEqual([0, expect.stringMatching(/bits a token on .*; perplexity .* bits a byte/)]);
    const measured = JSON.parse((await dblocks("evaluate", join(folder, run), "--json")).stdout);
    expect(Object.keys(measured.likelihoods)).toEqual(likelihoods);
    expect(measured.bits).toBeLessThan(measured.uniform);
    expect(measured.perplexity).toBeCloseTo(2 ** measured.bits, 9);
    expect((await dblocks("verify", join(folder, run))).code).toBe(0);
    const texts = await draw(run, "--prompt", "the fox");
    for (const one of texts) expect(one).toMatch(/^the fox[a-z ]{9}$/);
    expect(await draw(run, "--prompt", "the fox", "--batch", "2")).toEqual(texts);
    expect(await draw(run, "--prompt", "the fox", "--seed", "1")).not.toEqual(texts);
  });

  test("a text that is drawn alone appears as it grows, and ends before a stop string", async () => {
    const one = (...more: string[]): Promise<Outcome> =>
      dblocks("sample", join(folder, "language-own"), "--count", "1", "--prompt", "the", "--tokens", "12", ...more);
    const whole = (await one()).stdout;
    expect(whole).toMatch(/^the[a-z ]{12}\n$/);
    const stop = whole.slice(6, 8);
    const { stdout } = await dblocks(
      "sample",
      join(folder, "language-own"),
      "--count",
      "1",
      "--prompt",
      "the",
      "--tokens",
      "12",
      "--stop",
      stop,
      "--json",
    );
    expect((JSON.parse(stdout) as { text: string }[])[0]!.text).toBe(whole.slice(0, 3 + whole.slice(3).indexOf(stop)));
  });

  test("rows of a table can be chosen by name", async () => {
    const options = [
      "--data",
      text,
      "--run",
      join(folder, "table"),
      ...sizes,
      "--layers",
      "3",
      "--blocks",
      "3",
      "--epochs",
      "1",
      "--seeds",
      "1",
    ];
    const { stdout } = await dblocks("reproduce", "language", ...options, "--only", "shallow-twin", "blocks, stacked", "--json");
    const { runs } = JSON.parse(stdout) as { runs: { method: string; bits: number }[] };
    expect(runs.map(({ method }) => method)).toEqual(["shallow-twin", "blocks, stacked"]);
    const early = await dblocks("reproduce", "language", ...options, "--only", "blocks, cut by loss");
    expect([early.code, early.stderr]).toEqual([
      1,
      expect.stringMatching(/"blocks, cut by loss" is cut by the losses of "blocks", which was not trained/),
    ]);
    const cut = await dblocks("reproduce", "language", ...options, "--only", "blocks", "blocks, cut by loss", "--json");
    expect((JSON.parse(cut.stdout) as { runs: { bits: number }[] }).runs).toHaveLength(2);
    const { method } = JSON.parse(readFileSync(join(folder, "table", "blocks-cut-by-loss-s0", "config.json"), "utf8"));
    const pilot = ["partition", "--blocks", "3", "--measured", join(folder, "table", "blocks-s0")];
    expect(JSON.parse((await dblocks(...pilot, "--json")).stdout).boundaries).toEqual(method.boundaries);
    expect((await dblocks(...pilot)).stdout).toMatch(/To train with it: --boundaries 80,[\d.]+,[\d.]+,0\.002/);
    const { code, stderr } = await dblocks("reproduce", "language", ...options, "--only", "nothing");
    expect([code, stderr]).toEqual([2, expect.stringMatching(/--only nothing: the rows are end-to-end; shallow-twin;/)]);
  });

  test("bad input is refused in one line", async () => {
    const refused: [Promise<Outcome>, RegExp][] = [
      [trainLanguage("autoregressive", "a", "--tokenizer", "nothing.json"), /There is no tokenizer at nothing\.json/],
      [trainLanguage("autoregressive", "b", "--tokenizer", text), /language\.txt is no tokenizer\.json/],
      [trainLanguage("autoregressive", "c", "--key-heads", "3"), /3 key heads must divide 2 heads/],
      [
        trainLanguage("autoregressive", "d", "--layers", "4", "--context", "stacked", "--shared", "together"),
        /they can share nothing that goes on learning. Choose shared: owned or frozen/,
      ],
      [trainLanguage("autoregressive", "f", "--blocks", "2", "--layers", "2", "--boundaries", "80,1,0.5,0.002"), /2 blocks have 3 of them/],
      [
        trainLanguage("autoregressive", "g", "--blocks", "2", "--layers", "2", "--group", "3"),
        /groups of 3 tokens do not divide a sequence of 16/,
      ],
      [trainLanguage("recurrent-depth", "h", "--readout", "next-token"), /Allowed choices are last, evidence/],
      [dblocks("partition", "--blocks", "2", "--measured", join(folder, "language-whole")), /which has no noise levels/],
      [trainLanguage("recurrent-depth", "e", "--blocks", "3"), /recurrent-depth trained by blocks has no --blocks\. It belongs to/],
      [
        dblocks("sample", join(folder, "language-own"), "--prompt", "the fox", "--tokens", "10"),
        /7 \+ 10 tokens are more than there is room for in a sequence of 16/,
      ],
      [
        dblocks("sample", join(folder, "language-own"), "--prompt", "the fox runs over the dog"),
        /25 tokens are more than there is room for/,
      ],
    ];
    for (const [outcome, message] of refused) {
      const { code, stderr } = await outcome;
      expect([code, stderr.trim().split("\n")]).toEqual([expect.any(Number), [expect.stringMatching(message)]]);
      expect(code).toBeGreaterThan(0);
    }
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

  const goldenPartition = join(goldenFolder, "partition.json");
  test.skipIf(!existsSync(goldenPartition))("partition agrees with the reference values to 1e-9", async () => {
    const { partitions } = JSON.parse(readFileSync(goldenPartition, "utf8")) as { partitions: GoldenPartition[] };
    for (const { blocks, sigmaMin, sigmaMax, pMean, pStd, overlap, ...boundariesOf } of [partitions[2]!, partitions.at(-1)!]) {
      const settings = { blocks, "sigma-min": sigmaMin, "sigma-max": sigmaMax, "p-mean": pMean, "p-std": pStd, overlap: overlap.gamma };
      const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
      for (const [strategy, ascending] of [
        ["equi-probability", boundariesOf.equiProbability],
        ["uniform-log", boundariesOf.uniformLogSigma],
      ] as const) {
        const found = JSON.parse((await dblocks("partition", ...args, "--strategy", strategy, "--json")).stdout);
        const pairs = found.boundaries.map((sigma: number, i: number) => sigma / ascending.at(-1 - i)!);
        if (strategy === "equi-probability")
          pairs.push(
            ...overlap.clampedRanges.toReversed().flatMap((range, b) => range.map((sigma, i) => found.rangesWithOverlap[b][i] / sigma)),
          );
        for (const ratio of pairs) expect(Math.abs(ratio - 1)).toBeLessThan(1e-9);
      }
    }
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
    for (const command of [
      "train",
      "evaluate",
      "sample",
      "compare",
      "reproduce",
      "plan",
      "partition",
      "verify",
      "bench",
      "predict",
      "config",
      "doctor",
      "demo",
    ]) {
      const { code, stdout } = await dblocks(command, "--help");
      expect(code).toBe(0);
      expect(stdout).toContain("Options:");
    }
  });
});
