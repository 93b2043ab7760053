import {
  canonicalJson,
  checkpointName,
  checkpointStep,
  decodeCheckpoint,
  encodeCheckpoint,
  encodeMetricLine,
  type MetricRecord,
  parseMetrics,
  RunError,
  type RunStore,
  type SavedState,
  sha256,
  type UnitStore,
} from "diffusion-blocks";
import type { FileBytes } from "./protocol.ts";

/**
 * Runs of this origin, in its private file system: folders with the same files as a run on disk, byte for byte, so that exporting one is
 * nothing but packing it.
 */
const folderOfRuns = "runs";
const keptStates = 2;

async function runsFolder(): Promise<FileSystemDirectoryHandle> {
  return (await navigator.storage.getDirectory()).getDirectoryHandle(folderOfRuns, { create: true });
}

export async function runFolder(run: string, { create = false } = {}): Promise<FileSystemDirectoryHandle> {
  return (await runsFolder()).getDirectoryHandle(run, { create });
}

export async function removeRun(run: string): Promise<void> {
  await (await runsFolder()).removeEntry(run, { recursive: true }).catch(() => {});
}

/** Where data are kept that a reader of the page handed over. */
export async function dataFolder(): Promise<FileSystemDirectoryHandle> {
  return (await navigator.storage.getDirectory()).getDirectoryHandle("data", { create: true });
}

/** The files of these data. */
export async function keptData(): Promise<string[]> {
  const names: string[] = [];
  for await (const name of (await dataFolder()).keys()) names.push(name);
  return names.sort();
}

/** Names of the runs that are kept. */
export async function keptRuns(): Promise<string[]> {
  const names: string[] = [];
  for await (const [name, entry] of (await runsFolder()).entries()) if (entry.kind === "directory") names.push(name);
  return names.sort();
}

/** The content of a file, undefined if there is none. */
export async function readFile(folder: FileSystemDirectoryHandle, name: string): Promise<Uint8Array | undefined> {
  try {
    const file = await (await folder.getFileHandle(name)).getFile();
    return new Uint8Array(await file.arrayBuffer());
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotFoundError") return undefined;
    throw error;
  }
}

export async function readText(folder: FileSystemDirectoryHandle, name: string): Promise<string | undefined> {
  const bytes = await readFile(folder, name);
  return bytes && new TextDecoder().decode(bytes);
}

/** Writes a file whole: what was there before stays until the new content is complete. */
export async function writeFile(folder: FileSystemDirectoryHandle, name: string, content: Uint8Array | string): Promise<void> {
  const writable = await (await folder.getFileHandle(name, { create: true })).createWritable();
  try {
    await writable.write(content as Uint8Array<ArrayBuffer> | string);
    await writable.close();
  } catch (error) {
    await writable.abort().catch(() => {});
    const full = error instanceof DOMException && error.name === "QuotaExceededError";
    if (!full) throw error;
    throw new RunError("diskFull", { name }, "This browser has no more room for runs. Export and delete some of those that it keeps.");
  }
}

/** Every file of a run with its path, those of its units too. */
export async function filesOf(folder: FileSystemDirectoryHandle): Promise<FileBytes[]> {
  const files: FileBytes[] = [];
  for await (const [name, entry] of folder.entries()) {
    if (entry.kind === "file") files.push({ name, bytes: (await readFile(folder, name))! });
    else for (const inner of await filesOf(entry as FileSystemDirectoryHandle)) files.push({ ...inner, name: `${name}/${inner.name}` });
  }
  return files;
}

/** The hash of a configuration's identity, which its checkpoints carry. */
export function hashOf(identity: object): Promise<string> {
  return sha256(canonicalJson(identity));
}

/** The steps of the states of a unit, the newest first. */
async function savedSteps(folder: FileSystemDirectoryHandle): Promise<number[]> {
  const steps: number[] = [];
  for await (const name of folder.keys()) {
    const step = checkpointStep(name);
    if (step !== undefined) steps.push(step);
  }
  return steps.sort((a, b) => b - a);
}

/** The newest whole state of a unit, undefined if there is none. */
export async function newestState(run: FileSystemDirectoryHandle, unit: string): Promise<SavedState | undefined> {
  const folder = await run.getDirectoryHandle(unit, { create: true });
  for (const step of await savedSteps(folder)) {
    const state = await stateAt(folder, unit, step).catch(() => undefined); // damaged: the one before counts
    if (state !== undefined) return state;
  }
  return undefined;
}

async function stateAt(folder: FileSystemDirectoryHandle, unit: string, step: number): Promise<SavedState | undefined> {
  const bytes = await readFile(folder, checkpointName(step));
  if (bytes === undefined) return undefined;
  const { arrays, metadata, ...content } = await decodeCheckpoint(bytes);
  return content.unit === unit && content.step === step ? { step, source: `${unit}/${checkpointName(step)}`, arrays, metadata } : undefined;
}

/** Keeps a run in its folder. @param configHash what its checkpoints carry. */
export function browserStore(run: FileSystemDirectoryHandle, configHash: string): RunStore {
  let lines: MetricRecord[] = [];
  let written = -1;
  /** The log is written before a state, which must not be newer. */
  const writeLog = async (): Promise<void> => {
    if (written === lines.length) return;
    written = lines.length;
    await writeFile(run, "metrics.jsonl", lines.map(encodeMetricLine).join(""));
  };
  return {
    openUnit: async (unit) => unitStore(await run.getDirectoryHandle(unit, { create: true }), unit, configHash, writeLog),
    openLog: async (resumeFrom) => {
      const before = parseMetrics((await readText(run, "metrics.jsonl")) ?? "");
      lines = before.filter(({ unit, step }) => step <= (resumeFrom[unit] ?? Number.POSITIVE_INFINITY));
      written = -1;
      return {
        write: (unit, step, values) => void lines.push({ unit, step, time: Date.now() / 1000, values }),
        sync: () => {},
        close: () => {},
      };
    },
  };
}

function unitStore(folder: FileSystemDirectoryHandle, unit: string, configHash: string, writeLog: () => Promise<void>): UnitStore {
  return {
    load: async (step) => {
      if (typeof step !== "number") {
        for (const one of await savedSteps(folder)) {
          const state = await stateAt(folder, unit, one).catch(() => undefined);
          if (state !== undefined) return state;
        }
        return undefined;
      }
      const state = await stateAt(folder, unit, step);
      if (state !== undefined) return state;
      throw new RunError("noCheckpoint", { unit, step }, `${unit} has no state of step ${step} in this browser.`);
    },
    save: async ({ step, arrays, metadata }) => {
      await writeLog();
      await writeFile(folder, checkpointName(step), await encodeCheckpoint({ unit, step, configHash, arrays: new Map(arrays), metadata }));
      for (const old of (await savedSteps(folder)).slice(keptStates)) await folder.removeEntry(checkpointName(old));
      return `${unit}/${checkpointName(step)}`;
    },
  };
}
