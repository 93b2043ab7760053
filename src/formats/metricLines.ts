import { hexChecksum } from "./sealedJson.ts";

/** A line of metrics.jsonl: what was measured of a unit at a step. */
export interface MetricLine {
  readonly unit: string;
  readonly step: number;
  /** Seconds since 1970. */
  readonly time: number;
  readonly values: Readonly<Record<string, number | string | boolean>>;
}

/** The checksum of a line, behind everything else: known by its value, for a bit may have changed in its name. */
const sealed = /,"([^"]*)":"([0-9a-f]{8})"\}$/;

/** JSON has no NaN and no infinity: they become null, and `nonFinite` says which. `crc` is the CRC-32C of the line without it. */
export function encodeMetricLine({ unit, step, time, values }: MetricLine): string {
  const nonFinite = Object.entries(values).filter(([, value]) => typeof value === "number" && !Number.isFinite(value));
  const flag = nonFinite.length > 0 ? { nonFinite: Object.fromEntries(nonFinite.map(([key, value]) => [key, String(value)])) } : {};
  const line = JSON.stringify({ unit, step, time, ...values, ...flag });
  return `${line.slice(0, -1)},"crc":"${hexChecksum(line)}"}\n`;
}

/** The records in the text of a log. Lines that are none, such as one cut off by a kill, are left out. */
export function parseMetrics(text: string): MetricLine[] {
  return finishedLines(text)
    .map(decodeLine)
    .filter((record) => record !== undefined);
}

/** The numbers, from 1, of lines that are finished and whose content is not what was written. */
export function damagedMetricLines(text: string): number[] {
  return finishedLines(text).flatMap((line, i) => (decodeLine(line) === undefined ? [i + 1] : []));
}

/** Without what stands behind the last line's end: nothing, or a line that was never finished. */
function finishedLines(text: string): string[] {
  return text.split("\n").slice(0, -1);
}

/** A line without a checksum is of an older version. */
function decodeLine(line: string): MetricLine | undefined {
  const [end, name, crc] = sealed.exec(line) ?? [];
  const content = end === undefined ? line : `${line.slice(0, -end.length)}}`;
  if (end !== undefined && (name !== "crc" || crc !== hexChecksum(content))) return undefined;
  try {
    const { unit, step, time, nonFinite = {}, ...values } = JSON.parse(content);
    for (const [key, value] of Object.entries(nonFinite)) values[key] = Number(value);
    return typeof unit === "string" && typeof step === "number" && typeof time === "number" ? { unit, step, time, values } : undefined;
  } catch {
    return undefined;
  }
}
