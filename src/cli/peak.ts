import { readFileSync } from "node:fs";

/** The largest resident memory of this process so far, in bytes; undefined where the system does not tell. */
export function peakBytes(): number | undefined {
  try {
    const kilobytes = /VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  } catch {
    return undefined;
  }
}
