/** A line of metrics.jsonl: what was measured of a unit at a step. */
export interface MetricLine {
  readonly unit: string;
  readonly step: number;
  /** Seconds since 1970. */
  readonly time: number;
  readonly values: Readonly<Record<string, number | string | boolean>>;
}

/** JSON has no NaN and no infinity: they become null, and `nonFinite` says which. */
export function encodeMetricLine({ unit, step, time, values }: MetricLine): string {
  const nonFinite = Object.entries(values).filter(([, value]) => typeof value === "number" && !Number.isFinite(value));
  const flag = nonFinite.length > 0 ? { nonFinite: Object.fromEntries(nonFinite.map(([key, value]) => [key, String(value)])) } : {};
  return `${JSON.stringify({ unit, step, time, ...values, ...flag })}\n`;
}

/** The records in the text of a log. Lines that are none, such as one cut off by a kill, are left out. */
export function parseMetrics(text: string): MetricLine[] {
  const lines = text.split("\n");
  lines.pop(); // what stands behind the last line's end: nothing, or a line that was never finished
  return lines.map(decodeLine).filter((record) => record !== undefined);
}

function decodeLine(line: string): MetricLine | undefined {
  try {
    const { unit, step, time, nonFinite = {}, ...values } = JSON.parse(line);
    for (const [key, value] of Object.entries(nonFinite)) values[key] = Number(value);
    return typeof unit === "string" && typeof step === "number" && typeof time === "number" ? { unit, step, time, values } : undefined;
  } catch {
    return undefined;
  }
}
