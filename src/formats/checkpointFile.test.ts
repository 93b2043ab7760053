import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CheckpointStore } from "../run/index.ts";
import { checkpointName, decodeCheckpoint, encodeCheckpoint } from "./index.ts";

const content = {
  unit: "block-1",
  step: 7,
  configHash: "abc",
  metadata: { updates: "7" },
  arrays: new Map([["value/block-1/w", { shape: [2, 2], data: Float32Array.of(1, -2, 3.5, 0) }]]),
};

test("a checkpoint in memory has the bytes that the folder of a run has", async () => {
  const folder = mkdtempSync(join(tmpdir(), "dblocks-checkpoint-"));
  try {
    const { unit, step, configHash, arrays, metadata } = content;
    const store = await CheckpointStore.open({ folder, unit, configHash });
    const tensors = [...arrays].map(([name, array]) => ({ name, dtype: "F32", ...array }) as const);
    const path = await store.save({ step, tensors, metadata });
    const bytes = await encodeCheckpoint(content);
    expect(path.endsWith(checkpointName(7))).toBe(true);
    expect(Buffer.compare(readFileSync(path), bytes)).toBe(0);
    expect(await decodeCheckpoint(readFileSync(path))).toEqual(content);
    writeFileSync(join(folder, checkpointName(9)), await encodeCheckpoint({ ...content, step: 9 }));
    expect((await CheckpointStore.forReading({ folder, unit, configHash }).load())!.step).toBe(9);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a checkpoint of which one bit is another is refused, and a file that is none", async () => {
  const bytes = await encodeCheckpoint(content);
  const damaged = bytes.slice();
  damaged[damaged.length - 1]! ^= 1;
  await expect(decodeCheckpoint(damaged)).rejects.toMatchObject({ code: "checksum" });
  await expect(decodeCheckpoint(new Uint8Array(200))).rejects.toMatchObject({ code: "noChecksum" });
});
