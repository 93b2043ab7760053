#!/usr/bin/env node
// Fine-tuning of a language model that the project pretrains itself, from one text to another: before, all layers end to end, adapters end
// to end, blocks, blocks with adapters. Each at its best rate of the same grid, chosen on the validation part by seed 0; then three seeds,
// the test part read once. Every training is a process of its own: its peak of resident memory is measured.
//   node bench/finetuning.mjs --from war-and-peace.txt --to shakespeare.txt --tokenizer tokenizer.json [--out FOLDER]
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { registry } from "../dist/index.js";
import { startFinetuning, trainRun } from "../dist/node.js";

const { values } = parseArgs({
  options: {
    from: { type: "string" },
    to: { type: "string" },
    tokenizer: { type: "string" },
    out: { type: "string", default: "runs/finetuning" },
    rates: { type: "string", default: "3e-4,1e-3,3e-3" },
    seeds: { type: "string", default: "3" },
    epochs: { type: "string", default: "1" },
    pretraining: { type: "string", default: "3" },
    worker: { type: "string" },
  },
});

const [numBlocks, rank] = [3, 8];
/** Passes over the data by each system: equal layer evaluations, a block's update being one of the whole network and of its own layers. */
const systems = {
  "all layers, end to end": { epochs: 1 },
  "adapters, end to end": { lora: rank, epochs: 1 },
  "3 blocks": { numBlocks, epochs: 1 },
  "3 blocks, equal evaluations": { numBlocks, epochs: 1 / 4 },
  "3 blocks with adapters": { numBlocks, lora: rank, epochs: 1 },
};

if (values.worker !== undefined) await work(JSON.parse(values.worker));
else main();

function main() {
  const pretrained = join(values.out, "pretrained");
  mkdirSync(values.out, { recursive: true });
  const sizes = ["--width", "96", "--layers", "6", "--heads", "4", "--length", "64", "--batch", "32", "--lr", "2e-3", "--ema", "0.99"];
  const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
  const train = ["train", "autoregressive", "--method", "end-to-end", "--data", values.from, "--tokenizer", values.tokenizer, "--run", pretrained];
  if (!existsSync(join(pretrained, "evaluation.json"))) run(process.execPath, [main, ...train, ...sizes, "--epochs", values.pretraining, "--threads", "1", "--quiet"]);
  const before = JSON.parse(run(process.execPath, [main, "evaluate", pretrained, "--data", values.to, "--json"])).bits;
  console.log(`pretrained, on the new text: ${before.toFixed(3)} bits a token`);
  console.log("| system | bits a token, by seed | mean ± spread | rate chosen | updates | trained parameters | s | peak MB |\n|---|---|---|---|---|---|---|---|");
  for (const [name, system] of Object.entries(systems)) {
    const tried = values.rates.split(",").map(Number).map((rate) => ({ rate, bits: trained(pretrained, { name, ...system, rate, seed: 0, part: "validation" }).bits }));
    const { rate } = tried.reduce((a, b) => (b.bits < a.bits ? b : a));
    const results = Array.from({ length: Number(values.seeds) }, (_, seed) => trained(pretrained, { name, ...system, rate, seed, part: "test" }));
    const bits = results.map((one) => one.bits);
    const mean = bits.reduce((a, b) => a + b, 0) / bits.length;
    const spread = Math.sqrt(bits.reduce((sum, x) => sum + (x - mean) ** 2, 0) / Math.max(1, bits.length - 1));
    const { updates, parameters, seconds, peak } = results[0];
    console.log(`| ${name} | ${bits.map((x) => x.toFixed(3)).join(", ")} | ${mean.toFixed(3)} ± ${spread.toFixed(3)} | ${rate} | ${updates} | ${parameters} | ${Math.round(seconds)} | ${Math.round(peak / 1e6)} |`);
  }
}

function trained(pretrained, system) {
  const folder = join(values.out, `${system.name.replaceAll(/[^a-z0-9]+/g, "-")}-${system.rate}-${system.seed}-${system.part}`);
  const kept = join(folder, "result.json");
  if (existsSync(kept)) return JSON.parse(readFileSync(kept, "utf8"));
  const task = JSON.stringify({ ...system, pretrained, folder });
  const result = run(process.execPath, [fileURLToPath(import.meta.url), "--to", values.to, "--tokenizer", values.tokenizer, "--epochs", values.epochs, "--worker", task]);
  writeFileSync(kept, result);
  return JSON.parse(result);
}

function run(program, words) {
  const { status, stdout, stderr } = spawnSync(program, words, { encoding: "utf8", maxBuffer: 1e8 });
  if (status !== 0) throw new Error(`${words.join(" ")}: ${stderr}`);
  return stdout;
}

async function work({ pretrained, folder, numBlocks: blocks, lora, epochs, rate, seed, part }) {
  const training = { epochs: epochs * Number(values.epochs), learningRate: rate, seed, batchSize: 32, emaDecay: 0.99 };
  const data = { tokenizer: values.tokenizer, measuredOn: part };
  const overrides = { training, data, execution: { threads: 1, evaluateEvery: 0 } };
  const config = await startFinetuning({ registry, from: pretrained, path: folder, dataPath: values.to, numBlocks: blocks, lora, overrides });
  let parameters = 0;
  let peak = 0;
  const started = performance.now();
  let seconds = 0;
  const { evaluation, steps } = await trainRun({
    registry,
    path: folder,
    config,
    onStart: ({ units }) => {
      parameters = units.reduce((sum, { trainable }) => sum + [...trainable.values()].reduce((all, { shape }) => all + shape.reduce((a, b) => a * b, 1), 0), 0);
    },
    onStep: () => {
      seconds = (performance.now() - started) / 1000;
      peak = process.resourceUsage().maxRSS * 1024;
    },
  });
  console.log(JSON.stringify({ bits: evaluation.bits, updates: Object.values(steps).join(" + "), parameters, seconds, peak }));
}
