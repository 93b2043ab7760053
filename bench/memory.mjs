// Peak memory of a training step above the empty process, predicted and measured, each time in a fresh process: node bench/memory.mjs
// 1. vision transformers, end to end against one of three blocks; 2. bare transformers beside PyTorch, where a
// python3 with torch is found.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { findPytorch } from "../dist/cluster/index.js";
import { adamW, convert, createTrainer, endToEnd, openDevice, partition, schedule } from "../dist/index.js";
import { benchCases, benchMethod, median, planUnit } from "../dist/measure/index.js";
import { vit } from "../dist/models/index.js";
import { measurePeak } from "../dist/runtime/node.js";

const [runs, steps] = [3, 3];
const optimizer = adamW();
const megabytes = (bytes) => (bytes / 1e6).toFixed(0);
const row = (...cells) => console.log(`| ${cells.join(" | ")} |`);

/**
 * What a case trains. `bare` is one of the benchmark's transformers; else a vision transformer, whole (blocks 0) or
 * one of its blocks.
 */
function build({ bare, blocks, layers, width, batch }) {
  if (bare !== undefined) {
    const method = benchMethod(bare);
    return { method, unit: method.units[0], batch: bare.batch };
  }
  const architecture = vit({ imageSize: 32, width, numLayers: layers, numHeads: 4, numClasses: 10 });
  const method = blocks === 0 ? endToEnd(architecture) : convert(architecture, { partition: partition({ numBlocks: blocks }) });
  return { method, unit: method.units[0], batch };
}

async function measure({ checkpointing, ...options }) {
  const { method, unit, batch } = build(options);
  const device = await openDevice("cpu");
  const { shape } = method.inputType(batch);
  const input = new Float32Array(shape.reduce((a, b) => a * b)).fill(0.5);
  const labels = new Int32Array(batch);
  const learningRate = schedule({ kind: "constant", learningRate: 1e-3, warmupSteps: 0, totalSteps: 1, floor: 1 });
  globalThis.gc?.();
  const { baseBytes, peakBytes } = await measurePeak(async () => {
    const trainer = await createTrainer(method, { unit, device, batchSize: batch, optimizer, learningRate, seed: 0, checkpointing });
    for (let step = 0; step < steps; step++) await trainer.step({ input, labels });
    await trainer.dispose();
  });
  await device.dispose();
  return peakBytes - baseBytes;
}

function predicted({ checkpointing, ...options }) {
  const { method, unit, batch } = build(options);
  return planUnit(method, unit, { batchSize: batch, optimizer, ema: false, checkpointing }).peak;
}

function measured(options) {
  const argument = JSON.stringify(options);
  return median(
    Array.from({ length: runs }, () => Number(execFileSync(process.execPath, ["--expose-gc", fileURLToPath(import.meta.url), argument]))),
  );
}

function pytorch(python, request) {
  const script = fileURLToPath(new URL("pytorch_step.py", import.meta.url));
  const once = () => {
    const lines = execFileSync(python, [script, "2"], { input: `${JSON.stringify({ memory: { ...request, steps } })}\n`, encoding: "utf8" });
    return JSON.parse(lines.trim().split("\n").at(-1)).bytes;
  };
  return median(Array.from({ length: runs }, once));
}

function blocksTable() {
  row("ViT (batch×tokens×width, layers)", "way", "predicted MB", "measured MB", "measured/predicted", "against end-to-end");
  row("---", "---", "---", "---", "---", "---");
  for (const size of [
    { layers: 12, width: 192, batch: 128 },
    { layers: 12, width: 128, batch: 64 },
    { layers: 12, width: 256, batch: 16 },
    { layers: 6, width: 96, batch: 128 },
  ]) {
    let whole;
    for (const blocks of [0, 3]) {
      for (const checkpointing of [false, true]) {
        const options = { ...size, blocks, checkpointing };
        const [peak, bytes] = [predicted(options), measured(options)];
        whole ??= bytes;
        const way = `${blocks === 0 ? "end-to-end" : "1 of 3 blocks"}${checkpointing ? ", checkpointing" : ""}`;
        row(
          `${size.batch}×66×${size.width}, ${size.layers}`,
          way,
          megabytes(peak),
          megabytes(bytes),
          (bytes / peak).toFixed(2),
          (bytes / whole).toFixed(2),
        );
      }
    }
  }
}

function pytorchTable(python) {
  row("transformer (batch×tokens×width, layers)", "checkpointing", "predicted MB", "measured MB", "PyTorch MB", "ours/PyTorch");
  row("---", "---", "---", "---", "---", "---");
  for (const bare of [...benchCases, { ...benchCases[0], layers: 12 }]) {
    for (const checkpointing of [false, true]) {
      const [peak, ours, theirs] = [
        predicted({ bare, checkpointing }),
        measured({ bare, checkpointing }),
        pytorch(python, { ...bare, checkpointing }),
      ];
      row(
        `${bare.batch}×${bare.tokens}×${bare.width}, ${bare.layers}`,
        checkpointing ? "each layer" : "none",
        megabytes(peak),
        megabytes(ours),
        megabytes(theirs),
        (ours / theirs).toFixed(2),
      );
    }
  }
}

if (process.argv[2]) console.log(await measure(JSON.parse(process.argv[2])));
else {
  blocksTable();
  const python = findPytorch();
  if (python === undefined) console.error("No python3 with torch was found: no comparison with PyTorch.");
  else {
    console.log();
    pytorchTable(python);
  }
}
