// Predicted peak memory against the measured one, each time in a fresh process, of every model: node bench/planError.mjs
// A step is that of `dblocks train`; the data are zeros. Prints a row for each configuration, and how far predictions lie off.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { adamW, buildMethod, createTrainer, openDevice, parseRunConfig, registry, schedule } from "../dist/index.js";
import { median, planUnit } from "../dist/measure/index.js";
import { measurePeak } from "../dist/runtime/node.js";

const [runs, steps] = [1, 3];
const optimizer = adamW();
const images = { channels: 3, imageSize: 32, numClasses: 100 };
const text = (length, vocabSize) => ({ length, vocabSize });
const blocks = (numBlocks) => ({ name: "blocks", numBlocks });
const four = [{}, { checkpointing: true }, { parts: 8 }, { checkpointing: true, parts: 8 }];
const two = [{}, { checkpointing: true, parts: 4 }];

/** Model, data, batch; methods; what is kept. */
const cases = [
  [{ name: "vit", width: 128, mlpWidth: 3072, numLayers: 12, numHeads: 4 }, images, 128, ["end-to-end", blocks(3)], four],
  [{ name: "vit", width: 192, numLayers: 12, numHeads: 4 }, images, 64, ["end-to-end", blocks(3)], four],
  [{ name: "vit", width: 256, numLayers: 6, numHeads: 4, dropout: 0.1 }, images, 32, ["end-to-end", blocks(3)], two],
  [{ name: "vit", width: 128, numLayers: 8, numHeads: 4 }, images, 64, [{ name: "local-updates", numBlocks: 4 }, { name: "greedy", numGroups: 4 }], two],
  [{ name: "dit", width: 192, numLayers: 6, numHeads: 4, patchSize: 4 }, images, 32, [blocks(2), blocks(3)], two],
  [{ name: "dit", width: 384, numLayers: 4, numHeads: 6, patchSize: 4 }, images, 16, [blocks(2)], two],
  [{ name: "autoregressive", width: 128, numLayers: 8, numHeads: 4 }, text(128, 1024), 32, ["end-to-end", blocks(4)], two],
  [{ name: "autoregressive", width: 256, numLayers: 6, numHeads: 4 }, text(256, 4096), 8, ["end-to-end", blocks(3)], two],
  [{ name: "masked-diffusion", width: 192, numLayers: 6, numHeads: 4 }, text(128, 27), 64, [blocks(2), blocks(3)], two],
  [{ name: "recurrent-depth", width: 128, numHeads: 4 }, text(64, 512), 16, ["end-to-end", "blocks"], two],
  [{ name: "mlp" }, images, 128, ["end-to-end"], [{}]],
];

const configurations = cases.flatMap(([model, shape, batch, methods, memories]) =>
  methods.flatMap((method) => memories.map((memory) => ({ model, shape, batch, method, memory }))),
);

function build({ model, shape, method }) {
  const built = buildMethod(registry, parseRunConfig(registry, [{ model, method }]), shape);
  return { method: built, unit: built.units[0] };
}

async function measure(configuration) {
  const { method, unit } = build(configuration);
  const device = await openDevice("cpu", { threads: 1 });
  const { shape, dtype } = method.inputType(configuration.batch);
  const size = shape.reduce((a, b) => a * b);
  const batch = { input: dtype === "float32" ? new Float32Array(size).fill(0.5) : new Int32Array(size), labels: new Int32Array(configuration.batch) };
  const learningRate = schedule({ kind: "constant", learningRate: 1e-3, warmupSteps: 0, totalSteps: 1, floor: 1 });
  globalThis.gc?.();
  const { baseBytes, peakBytes } = await measurePeak(async () => {
    const trainer = await createTrainer(method, { unit, device, batchSize: configuration.batch, optimizer, learningRate, seed: 0, ...configuration.memory });
    for (let step = 0; step < steps; step++) await trainer.step(batch);
    await trainer.dispose();
  });
  await device.dispose();
  return peakBytes - baseBytes;
}

if (process.argv[2]) console.log(await measure(JSON.parse(process.argv[2])));
else {
  const ratios = [];
  console.log("| configuration | predicted MB | measured MB | measured/predicted |\n| --- | --- | --- | --- |");
  for (const configuration of configurations) {
    const { model, batch, method, memory } = configuration;
    const built = build(configuration);
    const plan = planUnit(built.method, built.unit, { batchSize: batch, optimizer, ema: false, ...memory });
    const script = fileURLToPath(import.meta.url);
    const once = () => Number(execFileSync(process.execPath, ["--expose-gc", script, JSON.stringify(configuration)]));
    const measured = median(Array.from({ length: runs }, once));
    ratios.push(measured / plan.peak);
    const kept = [memory.checkpointing && "checkpointing", memory.parts && `${memory.parts} parts`].filter(Boolean).join(", ") || "all kept";
    const name = `${model.name} ${batch}×${model.width ?? ""}×${model.numLayers ?? ""}, ${method.name ?? method}, ${kept}`;
    console.log(`| ${name} | ${(plan.peak / 1e6).toFixed(0)} | ${(measured / 1e6).toFixed(0)} | ${(measured / plan.peak).toFixed(2)} |`);
    if (process.env.DETAILS) console.error(JSON.stringify({ name, measured, ...plan }));
  }
  const off = ratios.map((ratio) => Math.abs(ratio - 1)).sort((a, b) => a - b);
  const within = (share) => off.filter((one) => one <= share).length;
  console.log(`\n${off.length} configurations: ${within(0.03)} within 3 %, ${within(0.05)} within 5 %, ${within(0.1)} within 10 %; median ${(100 * off[off.length >> 1]).toFixed(1)} %, largest ${(100 * off.at(-1)).toFixed(1)} %`);
}
