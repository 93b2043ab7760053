import * as nodeFileSystem from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { RunError } from "../errors.ts";
import {
  damagedMetricLines,
  encodeEvent,
  encodeEventFileStart,
  encodeMetricLine,
  eventFileName,
  parseMetrics,
  type Scalar,
} from "../formats/index.ts";
import type { MetricRecord, MetricValue, RunLog } from "../train/index.ts";
import { cannotWrite, disk, type FileSystem, makeFolder, readText, syncFolder, writeAtomic } from "./fileSystem.ts";

/** Appending to files, without waiting: a record costs microseconds, and it is in the system's hands when `write` returns. */
export type AppendFileSystem = Pick<typeof nodeFileSystem, "openSync" | "writeSync" | "fsyncSync" | "closeSync">;

export interface MetricsOptions {
  /**
   * For every unit that is trained, the step that it resumes from. Later records of it are dropped; -1 drops them all, for a unit that
   * starts afresh.
   */
  readonly resumeFrom?: Readonly<Record<string, number>>;
  /** Whether numbers also go into an event file for TensorBoard; true by default. */
  readonly tensorBoard?: boolean;
  /** The clock, in seconds since 1970. */
  readonly now?: () => number;
  readonly fs?: FileSystem;
  readonly append?: AppendFileSystem;
}

const fileName = "metrics.jsonl";
const ownFields = ["unit", "step", "time", "nonFinite", "crc"];
const eventFilePattern = /^events\.out\.tfevents\..*\.dblocks$/;
let eventFiles = 0; // tells apart the files of one process and second

/**
 * The log of a run: metrics.jsonl, and beside it the same numbers as TensorBoard events, which are written anew from the log at every
 * start, so the two cannot disagree. One process writes a log; units trained by processes of their own have one in each unit's folder.
 */
export class MetricsLog implements RunLog {
  readonly #folder: string;
  readonly #append: AppendFileSystem;
  readonly #now: () => number;
  readonly #lines: number;
  readonly #events: number | undefined;

  private constructor(folder: string, options: MetricsOptions, lines: number, events: number | undefined) {
    this.#folder = folder;
    this.#append = options.append ?? nodeFileSystem;
    this.#now = options.now ?? secondsNow;
    this.#lines = lines;
    this.#events = events;
  }

  /**
   * Opens the log in `folder` for appending. A line cut off by a kill, and records later than `resumeFrom`, are removed in one atomic
   * replacement: with the checkpoint of step S loaded, the log then reads as if the run had only come to S.
   *
   * @throws {RunError} if the folder cannot be written.
   */
  static async open(folder: string, options: MetricsOptions = {}): Promise<MetricsLog> {
    const { resumeFrom = {}, tensorBoard = true, now = secondsNow, fs = disk, append = nodeFileSystem } = options;
    const path = join(folder, fileName);
    await makeFolder(folder, fs);
    const before = (await readText(path, fs)) ?? "";
    const stays = parseMetrics(before).filter(({ unit, step }) => step <= (resumeFrom[unit] ?? Infinity));
    const after = stays.map(encodeMetricLine).join("");
    if (after !== before) await writeAtomic(path, after, fs);

    try {
      const old = (await fs.readdir(folder)).filter((name) => eventFilePattern.test(name));
      let events: number | undefined;
      if (tensorBoard) {
        const name = eventFileName(now(), `${hostname()}.${process.pid}.${String(eventFiles++).padStart(4, "0")}.dblocks`);
        events = append.openSync(join(folder, name), "wx");
        const history = [encodeEventFileStart(now()), ...stays.map(encodeRecordEvent)];
        appendAll(append, events, Buffer.concat(history));
      }
      for (const name of old) await fs.unlink(join(folder, name));
      const lines = append.openSync(path, "a");
      await syncFolder(folder, fs); // a log of which the name is lost with the power is lost, however durable its lines are
      return new MetricsLog(folder, options, lines, events);
    } catch (error) {
      throw cannotWrite(path, error);
    }
  }

  /**
   * Appends a record.
   *
   * @throws {RunError} `reservedKey` for a value named unit, step, time, nonFinite or crc; `diskFull`, ... if the disk refuses.
   */
  write(unit: string, step: number, values: Readonly<Record<string, MetricValue>>): void {
    const reserved = ownFields.find((field) => Object.hasOwn(values, field));
    if (reserved !== undefined)
      throw new RunError(
        "reservedKey",
        { key: reserved },
        `A metric cannot be named "${reserved}": every record has a field of that name.`,
      );
    const record: MetricRecord = { unit, step, time: this.#now(), values };
    try {
      appendAll(this.#append, this.#lines, Buffer.from(encodeMetricLine(record)));
      if (this.#events !== undefined) appendAll(this.#append, this.#events, encodeRecordEvent(record));
    } catch (error) {
      throw cannotWrite(join(this.#folder, fileName), error);
    }
  }

  /** Makes what was written durable. Call it before a checkpoint is saved, which must not be newer than its log. */
  sync(): void {
    try {
      this.#append.fsyncSync(this.#lines);
      if (this.#events !== undefined) this.#append.fsyncSync(this.#events);
    } catch (error) {
      throw cannotWrite(join(this.#folder, fileName), error);
    }
  }

  close(): void {
    this.#append.closeSync(this.#lines);
    if (this.#events !== undefined) this.#append.closeSync(this.#events);
  }
}

/** In words, which lines of the logs of these folders are damaged; undefined if none is. */
export async function damagedMetrics(folders: Iterable<string>, fs: FileSystem = disk): Promise<string | undefined> {
  const found: string[] = [];
  for (const folder of folders) {
    const path = join(folder, fileName);
    const lines = damagedMetricLines((await readText(path, fs)) ?? "");
    if (lines.length > 0)
      found.push(
        `${path}: ${lines.length === 1 ? "line" : "lines"} ${lines.slice(0, 5).join(", ")}${lines.length > 5 ? ` and ${lines.length - 5} more` : ""}`,
      );
  }
  if (found.length === 0) return undefined;
  return `${found.join("; ")} of the log cannot be read and ${found.length === 1 && !found[0]!.includes("lines") ? "is" : "are"} left out: curves lack them, the training does not.`;
}

/**
 * The records of a log, those of several folders one after the other: a run's own, then its units'.
 *
 * @param folders a run's folder and its units' folders; one without a log gives no records.
 */
export async function readMetrics(folders: Iterable<string>, fs: FileSystem = disk): Promise<MetricRecord[]> {
  const records: MetricRecord[] = [];
  for (const folder of folders) records.push(...parseMetrics((await readText(join(folder, fileName), fs)) ?? ""));
  return records;
}

function encodeRecordEvent({ unit, step, time, values }: MetricRecord): Uint8Array {
  const scalars: Scalar[] = Object.entries(values).flatMap(([name, value]) =>
    typeof value === "number" ? [{ tag: `${name}/${unit}`, value }] : [],
  );
  return encodeEvent({ wallTime: time, step, scalars });
}

function appendAll(fs: AppendFileSystem, file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.byteLength; ) done += fs.writeSync(file, bytes, done, bytes.byteLength - done);
}

function secondsNow(): number {
  return Date.now() / 1000;
}
