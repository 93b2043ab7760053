import { describe, expect, test } from "vitest";
import { availableBytes, cpuCount, measurePeak, residentBytes } from "./node.ts";

const MiB = 2 ** 20;
/** Far larger than the noise of a process that collects garbage and compiles code. */
const block = 256 * MiB;

test("measurePeak sees memory that was taken and given back inside", async () => {
  const { result, baseBytes, peakBytes } = await measurePeak(() => {
    const taken = new Uint8Array(block).fill(1);
    return taken[0]! + taken[taken.length - 1]!;
  });
  expect(result).toBe(2);
  expect(peakBytes - baseBytes).toBeGreaterThan(0.95 * block);
  expect(peakBytes - baseBytes).toBeLessThan(1.5 * block);
});

test("measurePeak starts afresh each time, and passes an error on", async () => {
  await measurePeak(() => new Uint8Array(block).fill(1).length);
  const { baseBytes, peakBytes, method } = await measurePeak(() => 0);
  if (method === "kernel") expect(peakBytes - baseBytes).toBeLessThan(0.5 * block);
  await expect(measurePeak(() => Promise.reject(new Error("from the work")))).rejects.toThrow("from the work");
});

test("residentBytes and cpuCount are plausible", () => {
  expect(residentBytes()).toBeGreaterThan(20 * MiB);
  expect(residentBytes() / process.memoryUsage.rss()).toBeCloseTo(1, 0);
  expect(cpuCount()).toBeGreaterThanOrEqual(1);
  expect(availableBytes()).toBeGreaterThan(0);
});

describe("availableBytes", () => {
  const system = (files: Record<string, string>) => (path: string) =>
    ({ "/proc/meminfo": "MemTotal: 9 kB\nMemAvailable:    8000 kB\n", ...files })[path];

  test("is what the system has, where no control group limits it", () => {
    expect(availableBytes(system({}))).toBe(8000 * 1024);
    expect(
      availableBytes(
        system({ "/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/memory.max": "max\n", "/sys/fs/cgroup/a/memory.current": "5\n" }),
      ),
    ).toBe(8000 * 1024);
  });

  test("is the tightest enclosing group's room, with droppable page cache counted as free (v2)", () => {
    const files = {
      "/proc/self/cgroup": "0::/job/step\n",
      "/sys/fs/cgroup/job/step/memory.max": "max\n",
      "/sys/fs/cgroup/job/step/memory.current": "100\n",
      "/sys/fs/cgroup/job/memory.max": "5000\n",
      "/sys/fs/cgroup/job/memory.current": "3000\n",
      "/sys/fs/cgroup/job/memory.stat": "anon 1\ninactive_file 700\nactive_file 9\n",
    };
    expect(availableBytes(system(files))).toBe(2700);
  });

  test("reads version 1 groups, and is never negative", () => {
    const files = (usage: number) => ({
      "/proc/self/cgroup": "5:cpu:/x\n4:memory:/docker/c\n0::/\n",
      "/sys/fs/cgroup/memory/memory.limit_in_bytes": "4000\n",
      "/sys/fs/cgroup/memory/memory.usage_in_bytes": `${usage}\n`,
      "/sys/fs/cgroup/memory/memory.stat": "inactive_file 5\ntotal_inactive_file 50\n",
    });
    expect(availableBytes(system(files(1000)))).toBe(3050);
    expect(availableBytes(system(files(5000)))).toBe(0);
  });
});
