import { spawn } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readSafetensors } from "../../src/formats/index.ts";
import { RunFolder } from "../../src/run/index.ts";
import { loadRun } from "../../src/runs/index.ts";
import { classes } from "../../src/tasks/index.ts";
import {
  data,
  dblocks,
  folder,
  isMounted,
  main,
  type Outcome,
  png,
  records,
  small,
  smallDisk,
  startUntil,
  train,
  trainArgs,
  weights,
} from "../support/cli.ts";

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
    for (const part of ["block-1 alone", "training.learningRate", "data:image/png", "Loss over sigma"]) expect(report).toContain(part);
    const overSigma = report.slice(report.indexOf("Loss over sigma"));
    expect(overSigma.match(/block-\d\nln sigma: /g)).toHaveLength(12); // a point for each level, named by its block

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

  test("--parallel trains so many blocks at once, in rows of their own on a terminal; blocks are trained by list as well", async () => {
    const two = await train("two-at-once", "--parallel", "2");
    expect(two.code).toBe(0);
    expect(weights("two-at-once")).toEqual(weights("whole"));
    for (const blocks of [
      ["--block", "2,0"],
      ["--units", "block-1"],
    ])
      expect(await train("listed", ...blocks)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^block-/) });
    expect((await dblocks("train", "vit", "--run", join(folder, "listed"))).code).toBe(0);
    expect(weights("listed")).toEqual(weights("whole"));
    expect(readdirSync(join(folder, "listed", "block-0"))).toContain("metrics.jsonl");
  });

  test("blocks that are trained one by one, each by a command of its own, make the same run", async () => {
    for (const block of ["2", "0", "1"]) {
      const one = await train("single", "--block", block);
      expect(one).toMatchObject({ code: 0, stdout: expect.stringContaining(`block-${block}: trained`) });
    }
    const together = await dblocks("train", "vit", "--run", join(folder, "single"), "--json");
    expect(JSON.parse(together.stdout).evaluation).toEqual(await new RunFolder(join(folder, "whole")).readEvaluation());
    expect(weights("single")).toEqual(weights("whole"));
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGUSR1", 75],
    ["SIGHUP", 129],
    ["SIGQUIT", 131],
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

  test("a run that diverges stops with one line, and what diverged is not saved", async () => {
    expect((await train("nan", "--epochs", "1")).code).toBe(0);
    const outcome = await train("nan-rate", "--lr", "1e38", "--save-every", "1");
    expect(outcome.code).toBe(3);
    expect(outcome.stderr).toMatch(
      /dblocks: block-0, step 1: a number of \S+ is (NaN|-?Infinity|\S+e\+\d+);.* --on-nan restore; .* --override training\.learningRate=/,
    );
    expect(readdirSync(join(folder, "nan-rate", "block-0")).filter((name) => name.startsWith("step-"))).toEqual([]);
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

  test("a folder without a run is not resumed, and --quiet says nothing but the result", async () => {
    const typo = await dblocks("train", "vit", "--run", join(folder, "typo"));
    expect([typo.code, typo.stderr]).toEqual([2, expect.stringMatching(/no run in .*typo to resume.*--data embedded/)]);
    expect(existsSync(join(folder, "typo"))).toBe(false);
    const quiet = await train("quiet", "--max-steps", "4", "--quiet");
    expect([quiet.code, quiet.stderr, quiet.stdout]).toEqual([0, "", expect.stringMatching(/^test accuracy/)]);
    expect(readdirSync(join(folder, "quiet", "block-0"))).toContain("step-000004.safetensors");
    const verbose = await train("verbose", "--max-steps", "4", "-v");
    const details = [
      "diffusion-blocks \\d",
      "cifar-10: 200 images, read in",
      "block-1: trains \\d+ parameters",
      "ONNX Runtime \\d",
      "block-2: compiled",
    ];
    for (const detail of details) expect(verbose.stderr).toMatch(new RegExp(`^\\[\\d+\\.\\d s\\] ${detail}`, "m"));
    expect(verbose.stderr).toMatch(/block-0: saved .*step-000004\.safetensors in \d+ ms/);
    const half = await train("half-epoch", "--epochs", "0.5", "--block", "0", "--json");
    expect(JSON.parse(half.stdout).steps).toEqual({ "block-0": 5 });
    const none = await train("none", "--epochs", "0.5", "--accumulate", "20");
    expect([none.code, none.stderr]).toEqual([2, expect.stringMatching(/--accumulate 20: 10 batches an epoch are less than one update/)]);
  });

  test("a reader of the progress that goes away does not end training", async () => {
    const child = spawn(process.execPath, [main, ...trainArgs("unheard")], { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
    child.stderr!.destroy();
    expect(await new Promise((resolve) => child.once("close", resolve))).toBe(0);
    expect(existsSync(join(folder, "unheard", "report.html"))).toBe(true);
  });

  test("a run is used from any folder: its paths are absolute", async () => {
    const here = (...words: string[]): Promise<Outcome> => dblocks(...words);
    const words = [...small.slice(2), "--max-steps", "2", "--evaluate-every", "0"];
    expect((await here("train", "vit", "--data", "data", "--run", "relative", ...words)).code).toBe(0);
    const config = JSON.parse(readFileSync(join(folder, "relative", "config.json"), "utf8"));
    expect(config.data.path).toBe(data);
    const elsewhere = await new Promise<number | null>((resolve) =>
      spawn(process.execPath, [main, "evaluate", join(folder, "relative"), "--seeds", "1"], { cwd: "/", stdio: "ignore" }).once(
        "close",
        resolve,
      ),
    );
    expect(elsewhere).toBe(0);
    expect((await here("train", "vit", "--data", "./data", "--run", "relative", ...words)).code).toBe(0);
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
    ["missing data", ["train", "vit", "--data", "/nowhere"], 42, /There is no data at \/nowhere/],
    [
      "truncated data",
      ["train", "vit", "--data", bad("truncated", records(20, 1).subarray(0, 9000))],
      42,
      /data_batch_1\.bin is cut off: 9000 bytes/,
    ],
    ["a label out of range", ["train", "vit", "--data", bad("mislabelled", mislabelled)], 42, /record 4 has label 77/],
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
    ["nothing to verify", ["verify", "nothing-here"], 42, /nothing at nothing-here/],
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
      /Units cannot be trained apart: the units of blocks with --shared average:5 train parameters in common/,
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

describe("a trained run", () => {
  test("config schema is a JSON Schema that names every model with every method, and config.json points to its own", async () => {
    const { oneOf } = JSON.parse((await dblocks("config", "schema")).stdout) as { oneOf: { title: string }[] };
    expect(oneOf.map(({ title }) => title)).toEqual(expect.arrayContaining(["vit, blocks", "dit, end-to-end", "noprop-cnn, noprop-fm"]));
    const config = JSON.parse(readFileSync(join(folder, "whole", "config.json"), "utf8"));
    expect(JSON.parse(readFileSync(join(folder, "whole", config.$schema), "utf8")).title).toBe("vit, blocks");
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
      42,
      expect.stringMatching(/3 channels of 40×40; the network was trained on 3 of 32×32/),
    ]);
  });
});
