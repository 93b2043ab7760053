import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CrashDisk } from "../../test/support/crashDisk.ts";
import type { StateToSave } from "../train/index.ts";
import { folderStore } from "./folderStore.ts";
import { openRun, type RunFolder } from "./runFolder.ts";

const configHash = "c".repeat(64);
const state = (step: number): StateToSave => ({
  step,
  arrays: [
    ["value/w", { shape: [2, 1], data: Float32Array.of(step, 0.1) }],
    ["constant/c", { shape: [], data: Float32Array.of(-step) }],
  ],
  metadata: { updates: String(step) },
});

async function onCrashDisk(): Promise<{ readonly fs: CrashDisk; readonly folder: RunFolder }> {
  const fs = new CrashDisk();
  return { fs, folder: await openRun("run", { create: true, fs }) };
}

describe("a run's folder as a store", () => {
  test("gives back what was saved, with the file that it was found in", async () => {
    const { folder } = await onCrashDisk();
    const unit = await folderStore(folder, { configHash }).openUnit("block-0");
    expect(await unit.load()).toBeUndefined();
    expect(await unit.save(state(1))).toBe("run/block-0/step-000001.safetensors");
    await unit.save(state(2));
    const { arrays, ...rest } = (await unit.load())!;
    expect(rest).toEqual({ step: 2, source: "run/block-0/step-000002.safetensors", metadata: { updates: "2" } });
    expect(new Map(arrays)).toEqual(new Map(state(2).arrays));
    expect(await unit.load(1)).toMatchObject({ step: 1 });
    await expect(unit.load(7)).rejects.toMatchObject({ code: "noCheckpoint" });
  });

  test("claims a unit when it is opened: whoever opened it before saves no more", async () => {
    const { fs, folder } = await onCrashDisk();
    const older = await folderStore(folder, { configHash }).openUnit("block-0");
    await older.save(state(1));
    const newer = await folderStore(folder, { configHash }).openUnit("block-0");
    await expect(older.save(state(2))).rejects.toMatchObject({ name: "RunError", code: "fenced" });
    expect(await newer.load()).toMatchObject({ step: 1 });
    await newer.save(state(2));
    expect(fs.files().filter((path) => path.endsWith("safetensors"))).toHaveLength(2);
  });

  test("passes damaged and foreign states over, and keeps as many as it was asked to keep", async () => {
    const { fs, folder } = await onCrashDisk();
    const skipped: string[] = [];
    const open = (hash: string) =>
      folderStore(folder, { configHash: hash, keepLast: 3, onSkip: (_, reason) => skipped.push(reason) }).openUnit("block-0");
    const unit = await open(configHash);
    for (const step of [1, 2, 3, 4]) await unit.save(state(step));
    fs.damage("run/block-0/step-000004.safetensors", (bytes) => bytes.subarray(0, -1));
    expect(await unit.load()).toMatchObject({ step: 3 });
    expect(skipped).toEqual([expect.stringContaining("SHA-256")]);
    await expect(unit.load(1)).rejects.toMatchObject({ code: "noCheckpoint" });
    expect(await (await open("d".repeat(64))).load()).toBeUndefined();
  });

  test("logs in the run's folder, and where one unit is trained alone in the unit's", async () => {
    const path = await mkdtemp(join(tmpdir(), "dblocks-"));
    try {
      const folder = await openRun(path, { create: true });
      for (const ownLogs of [false, true]) {
        const log = await folderStore(folder, { configHash, ownLogs }).openLog({ "block-1": -1 });
        log.write("block-1", 1, { loss: 0.5 });
        log.sync();
        log.close();
      }
      expect(await readdir(path)).toContain("metrics.jsonl");
      expect(await readdir(join(path, "block-1"))).toContain("metrics.jsonl");
      const resumed = await folderStore(folder, { configHash, ownLogs: true }).openLog({ "block-1": 0 });
      resumed.close();
      expect((await folder.readMetrics()).map(({ unit, step, values }) => [unit, step, values])).toEqual([["block-1", 1, { loss: 0.5 }]]);
    } finally {
      await rm(path, { recursive: true });
    }
  });
});
