import * as nodeFileSystem from "node:fs";
import { appendFile, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemError } from "../../test/support/crashDisk.ts";
import { decodeEvents, parseMetrics } from "../formats/index.ts";
import { MetricsLog, readMetrics } from "./metrics.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "dblocks-"));
});
afterEach(() => rm(folder, { recursive: true }));

const text = () => readFile(join(folder, "metrics.jsonl"), "utf8");
/** Without the checksums of its lines. */
const plain = async () => (await text()).replace(/,"crc":"[0-9a-f]{8}"\}$/gm, "}");

/** The points in the folder's event files, as [step, tag, value]. */
async function points(): Promise<[number, string, number][]> {
  const names = (await readdir(folder)).filter((name) => name.startsWith("events."));
  expect(names).toHaveLength(1);
  return decodeEvents(await readFile(join(folder, names[0]!))).flatMap(({ step, scalars = [] }) =>
    scalars.map(({ tag, value }) => [step, tag, value] as [number, string, number]),
  );
}

describe("the log", () => {
  test("has one JSON line a record, and the same numbers as events", async () => {
    const log = await MetricsLog.open(folder, { now: () => 12.5 });
    log.write("block-0", 1, { loss: 0.5, phase: "train", done: false });
    log.write("block-0", 2, { loss: 0.25 });
    log.close();
    expect(await plain()).toBe(
      '{"unit":"block-0","step":1,"time":12.5,"loss":0.5,"phase":"train","done":false}\n{"unit":"block-0","step":2,"time":12.5,"loss":0.25}\n',
    );
    expect(await points()).toEqual([
      [1, "loss/block-0", 0.5],
      [2, "loss/block-0", 0.25],
    ]);
  });

  test("gives every number back, NaN and infinities included, which JSON does not have", async () => {
    const log = await MetricsLog.open(folder);
    fc.assert(
      fc.property(
        fc.nat(),
        fc.dictionary(
          fc.string().map((name) => `m${name}`),
          fc.oneof(
            fc.double().map((x) => x + 0),
            fc.string(),
            fc.boolean(),
          ),
        ),
        (step, values) => {
          log.write("u", step, values);
          const { unit: _, time: __, ...record } = parseMetrics(nodeFileSystem.readFileSync(join(folder, "metrics.jsonl"), "utf8")).at(-1)!;
          expect(record).toEqual({ step, values: { ...values } });
        },
      ),
    );
    log.write("u", 1, { loss: NaN, gradNorm: Infinity });
    expect((await plain()).trim().split("\n").at(-1)).toContain(
      '"loss":null,"gradNorm":null,"nonFinite":{"loss":"NaN","gradNorm":"Infinity"}}',
    );
    expect((await points()).at(-2)).toEqual([1, "loss/u", NaN]);
    log.close();
  });

  test("of a run that was killed and resumed is the log of one that never stopped", async () => {
    const value = (step: number) => ({ loss: 1 / step });
    const clock = { now: () => 0 };
    const whole = await MetricsLog.open(folder, clock);
    for (let step = 1; step <= 9; step++) for (const unit of ["block-0", "block-1"]) whole.write(unit, step, value(step));
    whole.close();
    const uninterrupted = [await text(), await points()];
    await rm(join(folder, "metrics.jsonl"));

    const killed = await MetricsLog.open(folder, clock);
    for (let step = 1; step <= 6; step++) for (const unit of ["block-0", "block-1"]) killed.write(unit, step, value(step));
    await appendFile(join(folder, "metrics.jsonl"), '{"unit":"block-0","step":7,"lo'); // checkpoints were of step 4
    const resumed = await MetricsLog.open(folder, { ...clock, resumeFrom: { "block-0": 4, "block-1": 4 } });
    for (let step = 5; step <= 9; step++) for (const unit of ["block-0", "block-1"]) resumed.write(unit, step, value(step));
    resumed.sync();
    resumed.close();
    expect([await text(), await points()]).toEqual(uninterrupted);
  });

  test("forgets later records of the unit that is resumed only", async () => {
    const log = await MetricsLog.open(folder);
    for (const unit of ["block-0", "block-1"]) for (let step = 0; step < 4; step++) log.write(unit, step, {});
    log.close();
    (await MetricsLog.open(folder, { resumeFrom: { "block-1": 1 } })).close();
    const steps = (unit: string) =>
      readMetrics([folder]).then((records) => records.filter((record) => record.unit === unit).map(({ step }) => step));
    expect([await steps("block-0"), await steps("block-1")]).toEqual([
      [0, 1, 2, 3],
      [0, 1],
    ]);
    (await MetricsLog.open(folder, { resumeFrom: { "block-0": -1 }, tensorBoard: false })).close();
    expect([await steps("block-0"), await steps("block-1")]).toEqual([[], [0, 1]]);
    expect((await readdir(folder)).sort()).toEqual(["metrics.jsonl"]);
  });

  test("is read in spite of a line cut off by a kill, and lines that are none", () => {
    const good = '{"unit":"u","step":1,"time":0}\n';
    expect(parseMetrics(`${good}null\n{"step":2}\nnonsense\n${good}{"unit":"u","st`)).toHaveLength(2);
    expect(parseMetrics("")).toEqual([]);
  });

  test("on a full disk says so in one line, and its next start removes the torn record", async () => {
    let isFull = false;
    const writeSync = ((file: number, bytes: Uint8Array, offset: number, length: number) => {
      if (isFull && length < 5) throw systemError("ENOSPC");
      return nodeFileSystem.writeSync(file, bytes, offset, isFull ? length >> 1 : length);
    }) as typeof nodeFileSystem.writeSync;
    const log = await MetricsLog.open(folder, { append: { ...nodeFileSystem, writeSync } });
    log.write("u", 1, { loss: 1 });
    isFull = true;
    expect(() => log.write("u", 2, { loss: 2 })).toThrow(
      /^Cannot write .*metrics\.jsonl: the disk is full \(ENOSPC\)\. Free some space.*$/,
    );
    log.close();
    expect(await text()).toMatch(/[^\n]$/);
    (await MetricsLog.open(folder)).close();
    expect((await text()).split("\n")).toHaveLength(2);
  });

  test("refuses a metric with the name of a field", async () => {
    const log = await MetricsLog.open(folder);
    expect(() => log.write("u", 1, { step: 3 })).toThrow(/cannot be named "step"/);
    log.close();
  });
});
