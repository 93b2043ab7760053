import { join } from "node:path";
import { FormatError, RunError } from "../errors.ts";
import { checkpointKeys, checkpointName, checkpointStep, checkpointVersion, type SafetensorsTensor } from "../formats/index.ts";
import {
  cannotRead,
  cannotWrite,
  disk,
  errorCode,
  type FileSystem,
  makeFolder,
  removeTemporaries,
  replaceFile,
  syncFolder,
} from "./fileSystem.ts";
import type { Owner } from "./owner.ts";
import { readChecksummed, readMetadata, type SavedTensor, writeChecksummed } from "./safetensorsFile.ts";

/** A checkpoint by its header. */
export interface CheckpointEntry {
  readonly step: number;
  readonly path: string;
  /** As given to {@link CheckpointStore.save}. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** A checkpoint that was read and found whole. */
export interface Checkpoint extends CheckpointEntry {
  /** Views of one buffer that holds the whole file. */
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>;
}

/** Whether a checkpoint stays besides the last ones; `all` is every one there is, the newest first. */
export type KeepRule = (entry: CheckpointEntry, all: readonly CheckpointEntry[]) => boolean;

export interface CheckpointOptions {
  /** The unit's folder, e.g. runs/vit/block-0. */
  readonly folder: string;
  readonly unit: string;
  /** `configHash` of the configuration: checkpoints of another one are never loaded. */
  readonly configHash: string;
  /** Checked before every save; without it nothing keeps two processes apart. */
  readonly owner?: Owner;
  /** Number of the newest that stay, at least 1; 2 by default, so that one remains if the newest is damaged on disk. */
  readonly keepLast?: number;
  readonly keep?: KeepRule;
  /** Called with every checkpoint that was passed over, and why. */
  readonly onSkip?: (path: string, reason: string) => void;
  readonly fs?: FileSystem;
}

/**
 * The checkpoints of one unit: files step-000500.safetensors that are complete or absent, checked by their SHA-256 when read.
 */
export class CheckpointStore {
  readonly #options: CheckpointOptions;
  readonly #fs: FileSystem;
  readonly #entries = new Map<string, CheckpointEntry>(); // headers read so far, by path

  private constructor(options: CheckpointOptions) {
    this.#options = options;
    this.#fs = options.fs ?? disk;
  }

  /**
   * Opens a unit's folder for writing, made if it is missing, and removes what a killed process left half-written.
   *
   * @throws {RunError} if the folder cannot be written.
   */
  static async open(options: CheckpointOptions): Promise<CheckpointStore> {
    const store = CheckpointStore.forReading(options);
    await makeFolder(options.folder, store.#fs);
    await removeTemporaries(options.folder, { fs: store.#fs });
    return store;
  }

  /** The checkpoints of a folder that may be read-only or in use by another process; nothing in it is changed. */
  static forReading(options: CheckpointOptions): CheckpointStore {
    if (options.keepLast !== undefined && !(Number.isInteger(options.keepLast) && options.keepLast >= 1)) {
      throw new RunError(
        "keepLast",
        { keepLast: options.keepLast },
        `keepLast is ${options.keepLast}; it must be a whole number of at least 1.`,
      );
    }
    return new CheckpointStore(options);
  }

  /**
   * Saves a state, then removes the checkpoints that are no longer to be kept. The arrays must not change before the promise resolves.
   *
   * @returns the path of the file.
   * @throws {RunError} `fenced` if a newer process has taken over; `diskFull`, `noPermission`, ... if the disk
   * refuses. Earlier checkpoints are untouched.
   */
  async save(state: { step: number; tensors: Iterable<SavedTensor>; metadata?: Readonly<Record<string, string>> }): Promise<string> {
    const { step, tensors, metadata = {} } = state;
    const { unit, configHash, owner } = this.#options;
    checkStep(step);
    const reserved = checkpointKeys.find((key) => Object.hasOwn(metadata, key));
    if (reserved !== undefined)
      throw new RunError("reservedKey", { key: reserved }, `The metadata of a checkpoint cannot have a key "${reserved}" of their own.`);
    const path = this.pathOf(step);
    const fields = Object.entries({ formatVersion: checkpointVersion, unit, step: String(step), configHash, ...metadata });
    await owner?.check();
    try {
      // Asked again after the long write: the moment in which two processes could both save is then a rename.
      await replaceFile(path, (file) => writeChecksummed(file, tensors, fields), {
        fs: this.#fs,
        beforeRename: async () => owner?.check(),
      });
    } catch (error) {
      await owner?.check(); // a newer owner removes our temporary file: that it is newer is the better reason
      throw error;
    }
    this.#entries.set(path, { step, path, metadata });
    await this.#removeOld(path);
    return path;
  }

  /**
   * The newest checkpoint that is whole and of this unit and configuration, or nothing if there is none. Others are
   * passed over, each with its reason to `onSkip`; no part of them is used.
   *
   * @param step asks for one checkpoint and no other.
   * @throws {RunError} `noCheckpoint` if the step asked for is missing, damaged or foreign.
   */
  async load(): Promise<Checkpoint | undefined>;
  async load(step: number): Promise<Checkpoint>;
  async load(step?: number): Promise<Checkpoint | undefined> {
    if (step !== undefined) {
      checkStep(step);
      const checkpoint = await this.#read(step);
      if (typeof checkpoint !== "string") return checkpoint;
      throw new RunError(
        "noCheckpoint",
        { step, reason: checkpoint },
        `Cannot load ${this.pathOf(step)}: ${checkpoint}. Steps there: ${(await this.steps()).join(", ") || "none"}.`,
      );
    }
    for (const candidate of await this.steps()) {
      const checkpoint = await this.#read(candidate);
      if (typeof checkpoint !== "string") return checkpoint;
      this.#options.onSkip?.(this.pathOf(candidate), checkpoint);
    }
    return undefined;
  }

  /** The newest checkpoint that was saved as the best so far, if it is whole; as {@link CheckpointStore.load}. */
  async loadBest(): Promise<Checkpoint | undefined> {
    const best = (await this.entries()).find(isMarked);
    if (best === undefined) return undefined;
    const checkpoint = await this.#read(best.step);
    if (typeof checkpoint !== "string") return checkpoint;
    this.#options.onSkip?.(best.path, checkpoint);
    return undefined;
  }

  /** The steps of which there is a file, the newest first. Whether it is whole is known when it is loaded. */
  async steps(): Promise<number[]> {
    let names: string[];
    try {
      names = await this.#fs.readdir(this.#options.folder);
    } catch (error) {
      if (errorCode(error) === "ENOENT") return [];
      throw cannotRead(this.#options.folder, error);
    }
    const steps = names.map(checkpointStep).filter((step) => step !== undefined);
    return steps.sort((a, b) => b - a);
  }

  /** The checkpoints of this unit and configuration, the newest first; only their headers are read. */
  async entries(): Promise<CheckpointEntry[]> {
    const entries: CheckpointEntry[] = [];
    for (const step of await this.steps()) {
      const path = this.pathOf(step);
      const entry = this.#entries.get(path) ?? (await this.#readEntry(step, path));
      if (entry === undefined) continue;
      this.#entries.set(path, entry);
      entries.push(entry);
    }
    return entries;
  }

  pathOf(step: number): string {
    return join(this.#options.folder, checkpointName(step));
  }

  /** The checkpoint of a step, or the reason why it cannot be used. */
  async #read(step: number): Promise<Checkpoint | string> {
    const path = this.pathOf(step);
    try {
      const { metadata, tensors } = await readChecksummed(path, this.#fs);
      return this.#foreign(step, metadata) ?? { step, path, metadata: withoutOwnKeys(metadata), tensors };
    } catch (error) {
      return reasonOf(error);
    }
  }

  async #readEntry(step: number, path: string): Promise<CheckpointEntry | undefined> {
    try {
      const metadata = await readMetadata(path, this.#fs);
      return this.#foreign(step, metadata) === undefined ? { step, path, metadata: withoutOwnKeys(metadata) } : undefined;
    } catch (error) {
      reasonOf(error);
      return undefined;
    }
  }

  /** Why a file with these metadata is none of ours. */
  #foreign(step: number, metadata: Readonly<Record<string, string>>): string | undefined {
    const { unit, configHash } = this.#options;
    if (metadata.formatVersion !== checkpointVersion)
      return `its format version is ${metadata.formatVersion}, this program reads ${checkpointVersion}`;
    if (metadata.unit !== unit) return `it belongs to ${metadata.unit}, not to ${unit}`;
    if (metadata.step !== String(step)) return `it was saved at step ${metadata.step} under another name`;
    if (metadata.configHash !== configHash)
      return `it belongs to another configuration (${metadata.configHash?.slice(0, 12)}, this one is ${configHash.slice(0, 12)})`;
    return undefined;
  }

  /**
   * Removes the checkpoints that are no longer to be kept, to which a process did not come that was killed behind a save.
   *
   * @param newest what {@link CheckpointStore.load} gave; where newer files were passed over, nothing is removed.
   * @throws {RunError} if the disk refuses.
   */
  async clear(newest: Checkpoint): Promise<void> {
    if ((await this.steps())[0] === newest.step) await this.#removeOld(newest.path);
  }

  async #removeOld(saved: string): Promise<void> {
    const { keepLast = 2, keep, folder } = this.#options;
    const all = await this.entries();
    const old = all.slice(keepLast).filter((entry) => entry.path !== saved && !keep?.(entry, all));
    try {
      for (const { path } of old) {
        await this.#fs.unlink(path);
        this.#entries.delete(path);
      }
      if (old.length > 0) await syncFolder(folder, this.#fs);
    } catch (error) {
      if (errorCode(error) !== "ENOENT") throw cannotWrite(folder, error);
    }
  }
}

function checkStep(step: number): void {
  if (!Number.isSafeInteger(step) || step < 0)
    throw new RunError("step", { step }, `The step of a checkpoint is ${step}; it must be a whole number of at least 0.`);
}

function withoutOwnKeys(metadata: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => !checkpointKeys.includes(key)));
}

/** Why a file cannot be used; errors that say nothing about the file are thrown on. */
function reasonOf(error: unknown): string {
  if (error instanceof FormatError) return error.message;
  const code = errorCode(error);
  if (code === "ENOENT") return "there is no such file";
  if (code === "EIO" || code === "EACCES" || code === "EISDIR") return `the disk refuses to read it (${code})`;
  throw cannotRead("a checkpoint", error);
}

/** The key of the metadata of a checkpoint that is better than every one saved before it. */
export const bestKey = "best";

/** Keeps the best checkpoint: the newest that was saved as the best so far. */
export const keepMarked: KeepRule = (entry, all) => entry === all.find(isMarked);

function isMarked({ metadata }: CheckpointEntry): boolean {
  return metadata[bestKey] === "true";
}

/** Keeps every checkpoint whose step is a multiple of `steps`. */
export function keepEvery(steps: number): KeepRule {
  return ({ step }) => step % steps === 0;
}

/** Keeps the checkpoint with the best `metadata[key]`, the newest of equals: the "best" of a validation. */
export function keepBest(key: string, best: "min" | "max"): KeepRule {
  return (entry, all) => entry === bestCheckpoint(all, key, best);
}

/** The entry with the lowest or highest number `metadata[key]`, the first of equals; entries without one do not compete. */
export function bestCheckpoint(all: readonly CheckpointEntry[], key: string, best: "min" | "max"): CheckpointEntry | undefined {
  const sign = best === "min" ? 1 : -1;
  let winner: { entry: CheckpointEntry; cost: number } | undefined;
  for (const entry of all) {
    const cost = sign * Number(entry.metadata[key] ?? NaN);
    if (!Number.isNaN(cost) && (winner === undefined || cost < winner.cost)) winner = { entry, cost };
  }
  return winner?.entry;
}
