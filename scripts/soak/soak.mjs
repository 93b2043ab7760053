#!/usr/bin/env node
// npm run soak: 50,000 updates of a block of a classifier, of a language model and of a DiT, each in a process of its own: the slope of
// resident memory over the last half, and the speed of the last tenth against the second. Exits with 1 beyond the bounds.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { networks } from "./networks.mjs";

const { values } = parseArgs({
  options: { steps: { type: "string", default: "50000" }, only: { type: "string" }, worker: { type: "string" } },
});
/** Bytes of resident memory that an update may leave behind, and the share of the speed that may be lost. */
const [mostBytes, mostLoss] = [100, 0.03];

if (values.worker !== undefined) console.log(JSON.stringify(await soak(values.worker, Number(values.steps))));
else {
  let failures = 0;
  for (const name of Object.keys(networks).filter((one) => values.only === undefined || one === values.only)) {
    const words = ["--expose-gc", fileURLToPath(import.meta.url), "--worker", name, "--steps", values.steps];
    const { stdout, stderr, status } = spawnSync(process.execPath, words, { encoding: "utf8" });
    if (status !== 0) throw new Error(`${name}: ${stderr}`);
    const { bytesPerStep, interval, firstMs, lastMs, residentBytes } = JSON.parse(stdout);
    const isWrong = interval[0] > mostBytes || lastMs > firstMs * (1 + mostLoss);
    failures += Number(isWrong);
    const slope = `${bytesPerStep.toFixed(1)} bytes a step (${interval.map((x) => x.toFixed(1)).join(" to ")})`;
    console.log(
      `${name.padEnd(22)} ${slope}, ${firstMs.toFixed(3)} ms a step at first, ${lastMs.toFixed(3)} at last, ${Math.round(residentBytes / 1e6)} MB${isWrong ? " TOO MUCH" : ""}`,
    );
  }
  process.exitCode = failures === 0 ? 0 : 1;
}

/** Trains one unit for so many updates, and reads memory and time as it goes. */
async function soak(name, steps) {
  const { step, dispose } = await networks[name]();
  const every = Math.max(1, Math.floor(steps / 1000));
  const readings = [];
  const times = [];
  let from = performance.now();
  for (let i = 1; i <= steps; i++) {
    await step(i);
    if (i % every !== 0) continue;
    times.push((performance.now() - from) / every);
    globalThis.gc();
    readings.push({ step: i, bytes: process.memoryUsage().rss });
    from = performance.now();
  }
  await dispose();
  const tenth = Math.floor(times.length / 10);
  return {
    ...slopeOf(readings.slice(Math.floor(readings.length / 2))),
    firstMs: median(times.slice(tenth, 2 * tenth)),
    lastMs: median(times.slice(-tenth)),
    residentBytes: readings.at(-1).bytes,
  };
}

/** The median of the slopes of all pairs of readings (Theil–Sen), and the quarter and three quarters of them. */
function slopeOf(readings) {
  const slopes = readings.flatMap((b, j) => readings.slice(0, j).map((a) => (b.bytes - a.bytes) / (b.step - a.step))).sort((x, y) => x - y);
  const at = (share) => slopes[Math.floor(share * (slopes.length - 1))];
  return { bytesPerStep: at(0.5), interval: [at(0.25), at(0.75)] };
}

function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
}
