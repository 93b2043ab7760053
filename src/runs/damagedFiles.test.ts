import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseRunConfig } from "../define/index.ts";
import { DiffusionBlocksError } from "../errors.ts";
import { registry } from "../registry/index.ts";
import { openRun } from "../run/index.ts";
import { verifyRun } from "../verify/index.ts";
import { openTrainedRun, trainRun } from "./index.ts";

/** Files of a run whose bits change on a disk or on the way from one. */
const path = mkdtempSync(join(tmpdir(), "dblocks-damage-"));
const config = parseRunConfig(registry, [
  {
    model: { name: "mlp", width: 8, numLayers: 2 },
    method: { name: "end-to-end" },
    training: { maxSteps: 12, batchSize: 10 },
    execution: { threads: 1, logEvery: 1 },
  },
]);
const blocks = parseRunConfig(registry, [
  {
    model: { name: "vit", width: 8, numHeads: 1, numLayers: 2, patchSize: 16 },
    method: { name: "blocks", numBlocks: 2 },
    training: { maxSteps: 3, batchSize: 10 },
    execution: { threads: 1, logEvery: 1 },
  },
]);
beforeAll(async () => {
  await trainRun({ registry, path: join(path, "mlp"), config });
  await trainRun({ registry, path: join(path, "vit"), config: blocks });
}, 60_000);
afterAll(() => rmSync(path, { recursive: true, force: true }));

/** Opens the run with one bit of a file changed. */
async function withBit<Result>(file: string, bit: number, use: () => Promise<Result>): Promise<Result | DiffusionBlocksError> {
  const whole = readFileSync(file);
  const changed = Buffer.from(whole);
  changed[bit >> 3]! ^= 1 << (bit & 7);
  writeFileSync(file, changed);
  try {
    return await use();
  } catch (error) {
    if (!(error instanceof DiffusionBlocksError)) throw error;
    return error;
  } finally {
    writeFileSync(file, whole);
  }
}

test.each(["partition.json", "data.json"])("a changed bit in %s is found, or changes nothing", { timeout: 60_000 }, async (name) => {
  const file = join(path, "vit", name);
  const bits = 8 * readFileSync(file).length;
  const whole = await openTrainedRun(registry, join(path, "vit"));
  let refused = 0;
  for (let bit = 3; bit < bits; bit += Math.floor(bits / 90)) {
    const run = await withBit(file, bit, () => openTrainedRun(registry, join(path, "vit")));
    if (run instanceof DiffusionBlocksError) {
      expect(run.message).toContain(name);
      refused++;
    } else expect(run.info).toEqual(whole.info); // between the values
  }
  expect(refused).toBeGreaterThan(50);
});

test("a partition of another run is refused", async () => {
  const folder = await openRun(join(path, "vit"));
  const own = (await folder.readPartition()) as { readonly overlap: number };
  await folder.writePartition({ ...own, overlap: 0.3 });
  await expect(openTrainedRun(registry, join(path, "vit"))).rejects.toMatchObject({ code: "otherPartition" });
  await folder.writePartition(own);
  expect((await openTrainedRun(registry, join(path, "vit"))).method.units).toHaveLength(2);
});

test("damaged lines of the log are left out and said, by verify and when training goes on", async () => {
  const file = join(path, "mlp/metrics.jsonl");
  const lines = readFileSync(file, "utf8").split("\n");
  const loss = lines.findIndex((line) => line.includes('"loss"'));
  lines[loss] = lines[loss]!.replace(/"loss":(\d)/, (_, digit: string) => `"loss":${(Number(digit) + 1) % 10}`);
  lines[loss + 1] = lines[loss + 1]!.slice(0, 20);
  writeFileSync(file, lines.join("\n"));
  const folder = await openRun(join(path, "mlp"));
  expect(await folder.readMetrics()).toHaveLength(lines.length - 3);
  const run = await openTrainedRun(registry, join(path, "mlp"));
  const checks = await verifyRun({ folder, method: run.method, configHash: run.hash });
  expect(checks.find(({ name }) => name === "every line of the log is whole")).toMatchObject({ ok: false });
  const said: string[] = [];
  await trainRun({ registry, path: join(path, "mlp"), config, onNotice: (message) => void said.push(message) });
  expect(said.join("\n")).toContain(`metrics.jsonl: lines ${loss + 1}, ${loss + 2} of the log cannot be read and are left out`);
  expect(await folder.damagedMetrics()).toBe(undefined);
});

test("files of an older version, without checksums, are read", async () => {
  const file = join(path, "vit/data.json");
  const { checksum, ...info } = JSON.parse(readFileSync(file, "utf8"));
  expect(checksum).toMatch(/^[0-9a-f]{8}$/);
  writeFileSync(file, JSON.stringify(info));
  const log = join(path, "vit/metrics.jsonl");
  writeFileSync(log, readFileSync(log, "utf8").replace(/,"crc":"\w+"\}/g, "}"));
  expect((await openTrainedRun(registry, join(path, "vit"))).info).toEqual(info);
  expect(await (await openRun(join(path, "vit"))).damagedMetrics()).toBe(undefined);
});
