// What must be the same at the end of a run, however often it was killed.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { decodeEvents } from "../../dist/formats/index.js";

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex").slice(0, 16);

/** Files of a folder and those in it, by their paths. */
export function filesOf(folder) {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => statSync(join(folder, name)).isFile())
    .sort();
}

/** Unfinished files of a process that is gone. */
export const isLeftOver = (name) => /\.tmp$|\.writable|unfinished/.test(basename(name));

/** The lines of a log, each without its time, and the checksum that covers it. */
function logOf(path) {
  const lines = readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
  return lines.map(({ time: _, crc: __, ...record }) => record).sort((a, b) => a.unit.localeCompare(b.unit) || a.step - b.step);
}

/** Every number of the newest event file, as TensorBoard would draw it. */
function eventsOf(path) {
  return decodeEvents(readFileSync(path)).flatMap(({ step, scalars = [] }) => scalars.map(({ tag, value }) => [tag, step, value]));
}

/**
 * The state of a finished run: checkpoints by their bytes, logs and events by their numbers, configuration, partition and evaluation as
 * they are; of all else whether it is there. Wall times and owners differ from run to run.
 */
export function stateOf(folder) {
  const state = {};
  for (const name of filesOf(folder)) {
    const path = join(folder, name);
    const file = basename(name);
    if (isLeftOver(name) || file === "owner.json") continue;
    if (file.endsWith(".safetensors")) state[name] = sha256(readFileSync(path));
    else if (file === "metrics.jsonl") state[name] = sha256(JSON.stringify(logOf(path)));
    else if (file.startsWith("events.out.")) state[join(name, "..", "events")] = sha256(JSON.stringify(eventsOf(path).sort()));
    else if (["partition.json", "data.json", "schedule.json"].includes(file)) state[name] = sha256(readFileSync(path));
    else if (file === "evaluation.json") state[name] = sha256(JSON.stringify(withoutTimes(JSON.parse(readFileSync(path, "utf8")))));
    else if (file === "report.html" || file === "config.json") state[name] = "there";
  }
  return state;
}

function withoutTimes(value) {
  if (Array.isArray(value)) return value.map(withoutTimes);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => !/seconds|time|crc|bytes|peak|wall/i.test(key));
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutTimes(inner)]));
}

/** In what two states differ; empty where they are the same. */
export function differences(found, expected) {
  const names = [...new Set([...Object.keys(found), ...Object.keys(expected)])].sort();
  return names
    .filter((name) => found[name] !== expected[name])
    .map((name) => `${name}: ${found[name] ?? "missing"}, expected ${expected[name] ?? "nothing"}`);
}
