import { readFileSync, writeFileSync } from "node:fs";
import { freemem } from "node:os";

/** The text of a file of the system, or undefined if it cannot be read. */
export type ReadText = (path: string) => string | undefined;

const readSystemFile: ReadText = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
};

/** @returns bytes of this process that lie in physical memory now. */
export function residentBytes(): number {
  return statusBytes("VmRSS", readSystemFile) ?? process.memoryUsage.rss();
}

/**
 * Bytes that this process can still take before the system or its container runs out: the least of what the kernel calls
 * available and what each enclosing control group (v1 or v2) leaves, where a page cache that can be dropped counts as free.
 *
 * @param read the source of /proc and /sys.
 * @returns bytes, at least 0.
 */
export function availableBytes(read: ReadText = readSystemFile): number {
  const meminfo = /^MemAvailable:\s+(\d+) kB/m.exec(read("/proc/meminfo") ?? "");
  const system = meminfo ? Number(meminfo[1]) * 1024 : freemem();
  return Math.max(0, Math.min(system, ...controlGroups(read).map((folder) => roomIn(folder, read))));
}

/** The result of `measurePeak`. Bytes are those of the whole process; `peakBytes - baseBytes` is what the work added at its height. */
export interface PeakMemory<T> {
  readonly result: T;
  readonly baseBytes: number;
  readonly peakBytes: number;
  /** `kernel`: the kernel's own high-water mark, exact. `sampled`: read every few milliseconds; short peaks may be missed. */
  readonly method: "kernel" | "sampled";
}

/**
 * Runs `work` and reports the most memory that was resident while it ran. On Linux the kernel's high-water mark is reset before
 * (a 5 written to /proc/self/clear_refs) and read after (VmHWM). Elsewhere, and where a container forbids that, resident memory is
 * sampled and the process's lifetime maximum is taken where it rose; native work that blocks the thread is then seen only at its end.
 * Let a training step run twice inside: allocators take their full size in the first. For clean numbers use a fresh process.
 *
 * @returns the result of `work`, and resident bytes before and at the height.
 */
export async function measurePeak<T>(work: () => T | Promise<T>): Promise<PeakMemory<T>> {
  const baseBytes = residentBytes();
  if (!resetHighWaterMark()) return samplePeak(work, baseBytes);
  const result = await work();
  return { result, baseBytes, peakBytes: Math.max(baseBytes, statusBytes("VmHWM", readSystemFile) ?? 0), method: "kernel" };
}

/**
 * Watches the memory of this process from now on.
 *
 * @returns a function that reports the bytes that were resident at the start, and the most since.
 */
export function watchPeak(): () => { readonly baseBytes: number; readonly peakBytes: number } {
  const baseBytes = residentBytes();
  const isExact = resetHighWaterMark();
  const most = (): number => (isExact ? statusBytes("VmHWM", readSystemFile) : undefined) ?? process.resourceUsage().maxRSS * 1024;
  return () => ({ baseBytes, peakBytes: Math.max(baseBytes, most()) });
}

function resetHighWaterMark(): boolean {
  if (statusBytes("VmHWM", readSystemFile) === undefined) return false;
  try {
    writeFileSync("/proc/self/clear_refs", "5");
    return true;
  } catch {
    return false;
  }
}

async function samplePeak<T>(work: () => T | Promise<T>, baseBytes: number): Promise<PeakMemory<T>> {
  const lifetimeMaximum = (): number => process.resourceUsage().maxRSS * 1024;
  const before = lifetimeMaximum();
  let peakBytes = baseBytes;
  const sample = (): void => {
    peakBytes = Math.max(peakBytes, process.memoryUsage.rss());
  };
  const timer = setInterval(sample, 5);
  try {
    const result = await work();
    sample();
    const after = lifetimeMaximum();
    return { result, baseBytes, peakBytes: after > before ? Math.max(after, peakBytes) : peakBytes, method: "sampled" };
  } finally {
    clearInterval(timer);
  }
}

/** One line of /proc/self/status, such as `VmRSS:  1234 kB`, in bytes. */
function statusBytes(field: "VmRSS" | "VmHWM", read: ReadText): number | undefined {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(read("/proc/self/status") ?? "");
  return line ? Number(line[1]) * 1024 : undefined;
}

interface ControlGroup {
  readonly limit: string;
  readonly usage: string;
  readonly stat: string;
  readonly droppable: RegExp;
}

/** The memory control groups that enclose this process, innermost first. */
function controlGroups(read: ReadText): ControlGroup[] {
  return (read("/proc/self/cgroup") ?? "").split("\n").flatMap((line) => {
    const [, controllers, path = "/"] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === "") return enclosing("/sys/fs/cgroup", path).map(version2);
    if (controllers?.split(",").includes("memory")) return enclosing("/sys/fs/cgroup/memory", path).map(version1);
    return [];
  });
}

/** `path` below `root` and every folder above it, down to the root: a limit may stand at any of them. */
function enclosing(root: string, path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== "..");
  return Array.from({ length: parts.length + 1 }, (_, i) => [root, ...parts.slice(0, parts.length - i)].join("/"));
}

const version2 = (folder: string): ControlGroup => ({
  limit: `${folder}/memory.max`,
  usage: `${folder}/memory.current`,
  stat: `${folder}/memory.stat`,
  droppable: /^inactive_file (\d+)/m,
});

const version1 = (folder: string): ControlGroup => ({
  limit: `${folder}/memory.limit_in_bytes`,
  usage: `${folder}/memory.usage_in_bytes`,
  stat: `${folder}/memory.stat`,
  droppable: /^total_inactive_file (\d+)/m,
});

function roomIn({ limit, usage, stat, droppable }: ControlGroup, read: ReadText): number {
  const limitBytes = Number.parseInt(read(limit) ?? "", 10); // "max" and a missing file mean no limit here
  const usedBytes = Number.parseInt(read(usage) ?? "", 10);
  if (Number.isNaN(limitBytes) || Number.isNaN(usedBytes)) return Number.POSITIVE_INFINITY;
  return limitBytes - usedBytes + Number(droppable.exec(read(stat) ?? "")?.[1] ?? 0);
}
