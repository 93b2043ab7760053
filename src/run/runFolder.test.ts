import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CrashDisk } from "../../test/support/crashDisk.ts";
import { RunError } from "../errors.ts";
import { CheckpointStore } from "./checkpoint.ts";
import { openRun } from "./runFolder.ts";

const config = { experiment: "toy", blocks: 3 };

describe("a run folder", () => {
  let parent: string;
  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), "dblocks-"));
  });
  afterEach(() => rm(parent, { recursive: true }));

  test("is made with the folders above it, keeps its configuration, and is opened again", async () => {
    const path = join(parent, "runs/deep/toy");
    const run = await openRun(path, { create: true });
    expect(await run.hasConfig()).toBe(false);
    await run.writeConfig(config);
    await run.writePartition({ sigmas: [80, 0.5, 0.002] });
    await run.writeReport("<!doctype html>");
    await run.writeFile("notes.txt", "x");
    const again = await openRun(path);
    expect(await again.readConfig()).toEqual(config);
    expect(await again.readPartition()).toEqual({ sigmas: [80, 0.5, 0.002] });
    expect((await readdir(path)).sort()).toEqual(["config.json", "notes.txt", "partition.json", "report.html"]);
  });

  test("refuses another configuration, naming the keys that differ; the same in another order is fine", async () => {
    const run = await openRun(parent, { create: true });
    await run.writeConfig(config);
    await run.writeConfig({ blocks: 3, experiment: "toy" });
    await expect(run.writeConfig({ ...config, blocks: 4 })).rejects.toThrow(
      /holds a run with another configuration; different are: blocks\./,
    );
    expect(await run.readConfig()).toEqual(config);
    await run.writeConfig({ ...config, blocks: 4 }, { replace: true });
    expect(await run.readConfig()).toMatchObject({ blocks: 4 });
  });

  test("without a config.json, or with one that gives a key twice, is refused", async () => {
    const run = await openRun(parent, { create: true });
    await expect(run.readConfig()).rejects.toMatchObject({ code: "noConfig" });
    await writeFile(join(parent, "config.json"), '{"experiment":"toy","blocks":3,"blocks":4}');
    await expect(run.readConfig()).rejects.toMatchObject({ name: "FormatError", code: "duplicateKey" });
  });

  test("knows its units by their checkpoints, block-2 before block-10", async () => {
    const run = await openRun(parent, { create: true });
    for (const unit of ["block-10", "block-2", "network"]) {
      const store = await CheckpointStore.open({ folder: run.unitFolder(unit), unit, configHash: "h" });
      await store.save({ step: 1, tensors: [] });
    }
    await mkdir(join(parent, "samples"));
    expect(await run.units()).toEqual(["block-2", "block-10", "network"]);
    for (const bad of ["", "..", "a/b", ".hidden"]) expect(() => run.unitFolder(bad)).toThrow(RunError);
  });

  test("gathers the records of its own log and its units' logs", async () => {
    const run = await openRun(parent, { create: true });
    for (const unit of [undefined, "block-1", "block-0"]) {
      const log = await run.openMetrics(unit === undefined ? {} : { unit });
      log.write(unit ?? "run", 1, { loss: 1 });
      log.close();
    }
    expect((await run.readMetrics()).map(({ unit }) => unit)).toEqual(["run", "block-0", "block-1"]);
    expect(await readFile(join(parent, "block-1/metrics.jsonl"), "utf8")).toContain('"unit":"block-1"');
  });

  test("that is not there, or is a file, is named", async () => {
    await expect(openRun(join(parent, "nothing"))).rejects.toThrow(/There is no run in .*nothing\. Check the path/);
    await writeFile(join(parent, "file"), "");
    await expect(openRun(join(parent, "file"))).rejects.toMatchObject({ code: "noRun" });
    await expect(openRun(join(parent, "file"), { create: true })).rejects.toMatchObject({ name: "RunError", code: "notAFolder" });
    await expect(openRun(join(parent, "file/below"), { create: true })).rejects.toMatchObject({ name: "RunError", code: "notAFolder" });
  });
});

test.each(["EROFS", "EACCES", "ENOSPC"])("a folder that answers %s is refused when it is opened, not after an hour", async (system) => {
  const fs = new CrashDisk();
  fs.fault = { at: 1, refuses: system };
  await expect(openRun("run", { create: true, fs })).rejects.toThrow(new RegExp(`^Cannot write run.*\\(${system}\\)\\. [A-Z].*$`));
});

test("a folder that cannot be made says why: of a read-only disk the system says that it is not there", async () => {
  const fs = new CrashDisk();
  const notThere = Object.assign(new Error("ENOENT: no such file or directory, mkdir"), { code: "ENOENT" });
  const readOnly = Object.assign(new Error("EROFS: read-only file system, open"), { code: "EROFS" });
  const refusing = {
    open: async (path: string, flags: string) => (flags === "wx" ? Promise.reject(readOnly) : fs.open(path, flags)),
    mkdir: async () => Promise.reject(notThere),
    rename: fs.rename.bind(fs),
    unlink: fs.unlink.bind(fs),
    readdir: fs.readdir.bind(fs),
    stat: async () => ({ mtimeMs: 0 }),
  };
  await expect(openRun("disk/run", { create: true, fs: refusing })).rejects.toMatchObject({ code: "readOnly" });
});

test("a write that is refused at any operation leaves the old content or the new one, and nothing besides", async () => {
  const found = new Set<number>();
  for (let at = 0; at < 8; at++) {
    const fs = new CrashDisk();
    const run = await openRun("run", { create: true, fs });
    await run.writeConfig(config);
    fs.fault = { at: fs.operations + at, refuses: "ENOSPC" };
    await run.writeConfig({ ...config, blocks: 9 }, { replace: true }).catch((error) => expect(error).toBeInstanceOf(RunError));
    fs.fault = undefined;
    found.add(((await run.readConfig()) as typeof config).blocks);
    expect(fs.files()).toEqual(["run/config.json"]);
  }
  expect([...found]).toEqual([3, 9]);
});
