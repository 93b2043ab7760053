// Peak memory of a training step, predicted and measured in a fresh process each: node bench/memory.mjs
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { adamW, convert, createTrainer, endToEnd, openDevice, partition, schedule } from "../dist/index.js";
import { planUnit } from "../dist/measure/index.js";
import { vit } from "../dist/models/index.js";
import { measurePeak } from "../dist/runtime/index.js";

const optimizer = adamW();
const network = ({ layers, width, batch }) => ({ batch, architecture: vit({ imageSize: 32, width, numLayers: layers, numHeads: 4, numClasses: 10 }) });

/** One case: the method and the unit to train. */
function build({ blocks, ...sizes }) {
  const { architecture, batch } = network(sizes);
  const method = blocks === 0 ? endToEnd(architecture) : convert(architecture, { partition: partition({ numBlocks: blocks }) });
  return { method, unit: method.units[0], batch };
}

async function measure(options) {
  const { method, unit, batch } = build(options);
  const device = await openDevice("cpu");
  const input = new Float32Array(batch * 3 * 32 * 32).fill(0.5);
  const labels = new Int32Array(batch);
  globalThis.gc?.();
  const { baseBytes, peakBytes } = await measurePeak(async () => {
    const trainer = await createTrainer(method, { unit, device, batchSize: batch, optimizer, learningRate: schedule({ kind: "constant", learningRate: 1e-3, warmupSteps: 0, totalSteps: 1, floor: 1 }), seed: 0, checkpointing: options.checkpointing });
    for (let step = 0; step < 3; step++) await trainer.step({ input, labels });
    await trainer.dispose();
  });
  await device.dispose();
  return peakBytes - baseBytes;
}

if (process.argv[2]) console.log(await measure(JSON.parse(process.argv[2])));
else {
  const sizes = [
    { layers: 12, width: 128, batch: 64 },
    { layers: 12, width: 256, batch: 16 },
    { layers: 6, width: 96, batch: 128 },
  ];
  const ways = [
    { blocks: 0, checkpointing: false },
    { blocks: 0, checkpointing: true },
    { blocks: 3, checkpointing: false },
    { blocks: 3, checkpointing: true },
  ];
  console.log("| ViT (batch×66×width, layers) | way | predicted MB | measured MB | measured/predicted | against end-to-end |\n|---|---|---|---|---|---|");
  for (const size of sizes) {
    let whole;
    for (const way of ways) {
      const { method, unit, batch } = build({ ...size, ...way });
      const { peak } = planUnit(method, unit, { batchSize: batch, optimizer, ema: false, checkpointing: way.checkpointing });
      const runs = Array.from({ length: 3 }, () => Number(execFileSync(process.execPath, ["--expose-gc", fileURLToPath(import.meta.url), JSON.stringify({ ...size, ...way })])));
      const measured = runs.sort((a, b) => a - b)[1];
      whole ??= measured;
      const name = `${way.blocks === 0 ? "end-to-end" : "1 of 3 blocks"}${way.checkpointing ? ", checkpointing" : ""}`;
      console.log(`| ${size.batch}×66×${size.width}, ${size.layers} | ${name} | ${(peak / 1e6).toFixed(0)} | ${(measured / 1e6).toFixed(0)} | ${(measured / peak).toFixed(2)} | ${(measured / whole).toFixed(2)} |`);
    }
  }
}
