import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Crash, CrashDisk, Died, systemError } from "../../test/support/crashDisk.ts";
import { RunError } from "../errors.ts";
import { asFloat32, readSafetensors } from "../formats/index.ts";
import { type Checkpoint, type CheckpointOptions, CheckpointStore, keepBest, keepEvery } from "./checkpoint.ts";
import { disk, type FileSystem } from "./fileSystem.ts";
import { claimOwnership } from "./owner.ts";

const folder = "run/block-0";
const configHash = "c".repeat(64);

/** A state from which one can see which step made it. */
function stateOf(step: number) {
  const tensors = [
    { name: "weight", dtype: "F32", shape: [2, 3], data: Float32Array.from({ length: 6 }, (_, i) => step + i) },
    { name: "optimizer/moment", dtype: "F64", shape: [4], data: new Float64Array(4).fill(-step) },
  ] as const;
  return { step, tensors, metadata: { loss: String(1 / step) } };
}

function expectState(checkpoint: Checkpoint | undefined, step: number): void {
  expect(checkpoint).toMatchObject({ step, metadata: { loss: String(1 / step) } });
  expect([...asFloat32(checkpoint!.tensors.get("weight")!)]).toEqual([0, 1, 2, 3, 4, 5].map((i) => step + i));
}

async function openStore(fs: FileSystem, options: Partial<CheckpointOptions> = {}) {
  const skipped: string[] = [];
  const onSkip = (path: string, reason: string) => skipped.push(`${path.split("/").at(-1)}: ${reason}`);
  return { store: await CheckpointStore.open({ folder, unit: "block-0", configHash, fs, onSkip, ...options }), skipped };
}

/** A disk with the checkpoints of steps 1 and 2, all of it synced. */
async function diskWithTwo(): Promise<CrashDisk> {
  const fs = new CrashDisk();
  const { store } = await openStore(fs);
  await store.save(stateOf(1));
  await store.save(stateOf(2));
  return fs.crash("powerLoss");
}

const crashes: Crash[] = ["kill", "powerLoss", "namesFirst"];

describe("complete or absent", () => {
  test.each(crashes)("%s at every operation of a save: the newest complete checkpoint is loaded, and all of it", async (how) => {
    const steps = new Set<number>();
    let savedAt = Infinity;
    for (let at = 0; savedAt === Infinity; at++) {
      const before = await diskWithTwo();
      const { store } = await openStore(before);
      before.fault = { at: before.operations + at, dies: true };
      await store.save(stateOf(3)).then(
        () => (savedAt = at),
        (error) => expect(error).toBeInstanceOf(Died),
      );
      const after = before.crash(how);
      const { store: next, skipped } = await openStore(after);
      const loaded = await next.load();
      expectState(loaded, savedAt < Infinity ? 3 : loaded!.step);
      expect(skipped).toEqual([]);
      expect(after.files().filter((path) => path.endsWith(".tmp"))).toEqual([]);
      steps.add(loaded!.step);
      await next.clear(loaded!);
      expect((await next.steps()).length).toBeLessThanOrEqual(2); // no older one stays behind that the dead process was to remove
      expectState(await next.load(), loaded!.step);
    }
    expect([...steps]).toEqual([2, 3]); // both happen, so the deaths were spread over the save
    expect(savedAt).toBeGreaterThan(8);
  });

  test("negative control: on a disk that ignores fsync the saved checkpoint is lost, the checksum says so, and the one before is loaded", async () => {
    const before = await diskWithTwo();
    const { store } = await openStore(before);
    before.ignoresSync = true;
    await store.save(stateOf(3));
    const { store: next, skipped } = await openStore(before.crash("namesFirst"));
    expectState(await next.load(), 2);
    expect(skipped).toEqual([expect.stringContaining("step-000003.safetensors: ")]);
  });

  test.each([
    ["ENOSPC", "diskFull", /Cannot write run\/block-0\/step-000003\.safetensors: the disk is full \(ENOSPC\)\. Free some space/],
    ["EACCES", "noPermission", /Cannot write run\/block-0/],
    ["EROFS", "readOnly", /read-only/],
    ["EIO", "disk", /the disk reports an error/],
  ])("%s at every operation of a save: a RunError in one line, and the checkpoints before it are whole", async (system, code, message) => {
    let failures = 0;
    for (let at = 0; ; at++) {
      const fs = await diskWithTwo();
      const { store } = await openStore(fs);
      fs.fault = { at: fs.operations + at, refuses: system };
      const error = await store.save(stateOf(3)).then(
        () => undefined,
        (reason) => reason as RunError,
      );
      if (fs.operations <= fs.fault.at) break; // the save was over before the fault
      if (error !== undefined) {
        failures++;
        expect(error).toBeInstanceOf(RunError);
        expect(error.code).toBe(code);
        expect(error.message).not.toContain("\n");
        if (error.message.includes("step-000003")) expect(error.message).toMatch(message);
      }
      const { store: next } = await openStore(fs);
      const loaded = await next.load();
      expectState(loaded, loaded!.step);
      expect(loaded!.step).toBeGreaterThanOrEqual(2);
      expect(fs.files().filter((path) => path.endsWith(".tmp"))).toEqual([]);
    }
    expect(failures).toBeGreaterThan(5);
  });
});

describe("damage", () => {
  test("every flipped bit and every truncation is noticed, named, and passed over", async () => {
    const path = `${folder}/step-000002.safetensors`;
    let bytes = 0;
    (await diskWithTwo()).damage(path, (content) => {
      bytes = content.byteLength;
      return content;
    });
    const flip = fc.nat({ max: bytes * 8 - 1 }).map((bit) => (content: Uint8Array) => {
      content[bit >> 3]! ^= 1 << (bit & 7);
      return content;
    });
    const cut = fc.nat({ max: bytes - 1 }).map((length) => (content: Uint8Array) => content.subarray(0, length));
    await fc.assert(
      fc.asyncProperty(fc.oneof(flip, cut), async (change) => {
        const fs = await diskWithTwo();
        fs.damage(path, change);
        const { store, skipped } = await openStore(fs);
        expectState(await store.load(), 1);
        expect(skipped).toEqual([expect.stringMatching(/^step-000002\.safetensors: ./)]);
        await expect(store.load(2)).rejects.toMatchObject({ code: "noCheckpoint" });
      }),
      { numRuns: 300 },
    );
  });

  test("a checkpoint of another configuration, unit, step or format is passed over by name", async () => {
    const fs = await diskWithTwo();
    const other = await openStore(fs, { configHash: "d".repeat(64) });
    expect(await other.store.load()).toBeUndefined();
    expect(other.skipped).toHaveLength(2);
    expect(other.skipped[0]).toContain(
      "step-000002.safetensors: it belongs to another configuration (cccccccccccc, this one is dddddddddddd)",
    );

    const unit = await openStore(fs, { unit: "block-1" });
    expect(await unit.store.load()).toBeUndefined();
    expect(unit.skipped[0]).toContain("it belongs to block-0, not to block-1");

    await fs.rename(`${folder}/step-000001.safetensors`, `${folder}/step-000009.safetensors`);
    const renamed = await openStore(fs);
    expectState(await renamed.store.load(), 2);
    expect(renamed.skipped[0]).toContain("it was saved at step 1 under another name");
  });

  test("foreign checkpoints are not removed", async () => {
    const fs = await diskWithTwo();
    const { store } = await openStore(fs, { configHash: "d".repeat(64), keepLast: 1 });
    for (const step of [5, 6]) await store.save(stateOf(step));
    expect(await store.steps()).toEqual([6, 2, 1]);
  });
});

describe("what stays", () => {
  async function stepsAfter(options: Partial<CheckpointOptions>): Promise<number[]> {
    const { store } = await openStore(new CrashDisk(), options);
    for (const [step, loss] of [
      [100, 0.9],
      [200, 0.2],
      [300, 0.5],
      [400, 0.6],
      [500, 0.3],
    ] as const) {
      await store.save({ ...stateOf(step), metadata: { loss: String(loss) } });
    }
    return store.steps();
  }

  test("two, by default", async () => expect(await stepsAfter({})).toEqual([500, 400]));
  test("the last N", async () => expect(await stepsAfter({ keepLast: 3 })).toEqual([500, 400, 300]));
  test("the best of a metric", async () => expect(await stepsAfter({ keepLast: 1, keep: keepBest("loss", "min") })).toEqual([500, 200]));
  test("the best, where more is better", async () =>
    expect(await stepsAfter({ keepLast: 1, keep: keepBest("loss", "max") })).toEqual([500, 100]));
  test("every so many steps", async () => expect(await stepsAfter({ keepLast: 1, keep: keepEvery(200) })).toEqual([500, 400, 200]));
  test("none is no choice", async () => await expect(stepsAfter({ keepLast: 0 })).rejects.toMatchObject({ code: "keepLast" }));

  test("the best is known again after a restart", async () => {
    const fs = new CrashDisk();
    const options = { keepLast: 1, keep: keepBest("loss", "min") };
    const save = async (step: number, loss: number) =>
      (await openStore(fs, options)).store.save({ ...stateOf(step), metadata: { loss: String(loss) } });
    for (const [step, loss] of [
      [1, 0.1],
      [2, 0.5],
      [3, 0.4],
    ] as const)
      await save(step, loss);
    expect(await (await openStore(fs)).store.steps()).toEqual([3, 1]);
  });
});

describe("owners", () => {
  test("the newer process wins; the older one stops with the code 'fenced' and has saved nothing", async () => {
    const fs = new CrashDisk();
    const older = await openStore(fs, { owner: await claimOwnership(folder, { fs, env: {} }) });
    await older.store.save(stateOf(1));
    const newer = await openStore(fs, { owner: await claimOwnership(folder, { fs, env: {} }) });
    await expect(older.store.save(stateOf(2))).rejects.toMatchObject({ name: "RunError", code: "fenced" });
    expectState(await newer.store.load(), 1);
    await newer.store.save(stateOf(2));
    expect(await newer.store.steps()).toEqual([2, 1]);
  });

  test.each([
    ["has only claimed the folder", false],
    ["has removed the temporary file", true],
  ])("a process that is overtaken while it writes, by one that %s, stops before the rename", async (_, opensStore) => {
    const fs = new CrashDisk();
    const { store } = await openStore(fs, { owner: await claimOwnership(folder, { fs, env: {} }) });
    const overtaken = stateOf(1).tensors.map((tensor) => ({
      ...tensor,
      data: async () => {
        await claimOwnership(folder, { fs, env: {} });
        if (opensStore) await openStore(fs);
        return tensor.data;
      },
    }));
    await expect(store.save({ step: 1, tensors: overtaken })).rejects.toMatchObject({ code: "fenced" });
    expect(await store.steps()).toEqual([]);
  });
});

test("tensors may come one at a time, and any safetensors reader opens the file", async () => {
  const temporary = await mkdtemp(join(tmpdir(), "dblocks-"));
  try {
    const store = await CheckpointStore.open({ folder: join(temporary, "block-0"), unit: "block-0", configHash });
    const path = await store.save({ step: 7, tensors: [{ name: "w", dtype: "F32", shape: [1], data: async () => Float32Array.of(4) }] });
    const { metadata, tensors } = readSafetensors(await readFile(path));
    expect([...asFloat32(tensors.get("w")!)]).toEqual([4]);
    expect(metadata).toMatchObject({
      unit: "block-0",
      step: "7",
      configHash,
      formatVersion: "1",
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    await expect(
      store.save({ step: 8, tensors: [{ name: "w", dtype: "F32", shape: [2], data: Float32Array.of(4) }] }),
    ).rejects.toMatchObject({ code: "tensorLength" });
    await expect(store.save({ step: 8, tensors: [], metadata: { sha256: "" } })).rejects.toMatchObject({ code: "reservedKey" });
    await expect(store.save({ step: 1.5, tensors: [] })).rejects.toMatchObject({ code: "step" });
    expect(await store.steps()).toEqual([7]);
  } finally {
    await rm(temporary, { recursive: true });
  }
});

test("a state of several chunks comes back, read or written in small pieces", async () => {
  const temporary = await mkdtemp(join(tmpdir(), "dblocks-"));
  const inPieces: FileSystem = {
    ...disk,
    open: async (path, flags) => {
      const file = await disk.open(path, flags);
      const atMost = 5_000_011;
      return {
        read: (buffer, offset, length, position) => file.read(buffer, offset, Math.min(length, atMost), position),
        write: (buffer, offset, length, position) => file.write(buffer, offset, Math.min(length, atMost), position),
        stat: () => file.stat(),
        sync: () => file.sync(),
        close: () => file.close(),
      };
    },
  };
  try {
    const store = await CheckpointStore.open({ folder: temporary, unit: "network", configHash, fs: inPieces });
    const data = Float32Array.from({ length: 10_000_000 }, (_, i) => i); // 40 MB, three chunks
    await store.save({ step: 1, tensors: [{ name: "w", dtype: "F32", shape: [data.length], data }] });
    const { tensors } = await store.load(1);
    expect(Buffer.compare(tensors.get("w")!.data, Buffer.from(data.buffer))).toBe(0);
  } finally {
    await rm(temporary, { recursive: true });
  }
});

test("an error of the disk while reading is not taken for damage", async () => {
  const fs = await diskWithTwo();
  const { store } = await openStore(fs);
  fs.open = async () => {
    throw systemError("EMFILE");
  };
  await expect(store.load()).rejects.toMatchObject({ name: "RunError", code: "disk" });
});

describe("a real process, killed by SIGKILL at random moments", () => {
  let temporary: string;
  beforeAll(async () => {
    temporary = await mkdtemp(join(tmpdir(), "dblocks-"));
    const entry = fileURLToPath(new URL("./checkpoint.ts", import.meta.url));
    await build({
      configFile: false,
      logLevel: "silent",
      ssr: { noExternal: true },
      build: { ssr: entry, outDir: temporary, emptyOutDir: false, minify: false },
    });
    await mkdir(join(temporary, "unit"));
    await writeFile(
      join(temporary, "child.mjs"),
      `import { CheckpointStore } from "./checkpoint.js";
       const store = await CheckpointStore.open({ folder: ${JSON.stringify(join(temporary, "unit"))}, unit: "u", configHash: "h" });
       let step = (await store.load())?.step ?? 0;
       process.stdout.write("ready\\n");
       for (;;) {
         step++;
         const data = new Float32Array(300_000).fill(step);
         await store.save({ step, tensors: [{ name: "w", dtype: "F32", shape: [data.length], data }] });
         process.stdout.write(step + "\\n");
       }`,
    );
  });
  afterAll(() => rm(temporary, { recursive: true }));

  /** Starts the process, kills it `ms` after it is ready, and returns the last step that it said was saved. */
  function runAndKill(ms: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const child: ChildProcess = spawn(process.execPath, [join(temporary, "child.mjs")], { stdio: ["ignore", "pipe", "pipe"] });
      let output = "";
      let errors = "";
      child.stderr!.on("data", (part) => (errors += part));
      child.stdout!.on("data", (part) => {
        if (output === "") setTimeout(() => child.kill("SIGKILL"), ms);
        output += part;
      });
      child.on("close", () => (errors === "" ? resolve(Number(output.trim().split("\n").at(-1)) || 0) : reject(new Error(errors))));
    });
  }

  test("every start finds the newest step that was reported as saved, or the one after it, whole", async () => {
    let reached = 0;
    for (let life = 0; life < 8; life++) {
      const reported = await runAndKill(20 + ((life * 37) % 90));
      const skipped: string[] = [];
      const store = await CheckpointStore.open({
        folder: join(temporary, "unit"),
        unit: "u",
        configHash: "h",
        onSkip: (path) => skipped.push(path),
      });
      const checkpoint = await store.load();
      expect(skipped).toEqual([]);
      const step = checkpoint?.step ?? 0;
      expect(step).toBeGreaterThanOrEqual(Math.max(reported, reached));
      if (checkpoint !== undefined) expect(asFloat32(checkpoint.tensors.get("w")!).every((value) => value === step)).toBe(true);
      reached = step;
    }
    expect(reached).toBeGreaterThan(8);
  });
});
