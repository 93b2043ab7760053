// A training step in Chromium on WebAssembly, beside the same in Node (onnxruntime-node, as many threads) and in jax-js in the same browser:
// npm run bench:browser [-- ROUNDS]. The three alternate; of each the median of all steps, and the least, counts.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { openDevice } from "../../dist/index.js";
import { benchCases, benchStepper, median, stepFlops } from "../../dist/measure/index.js";
import { openPage, serveFolder } from "./chromium.mjs";

const rounds = Number(process.argv[2] ?? 5);
const stepsOfRound = 3;
const folder = mkdtempSync(join(tmpdir(), "dblocks-bench-"));
await build({
  root: fileURLToPath(new URL(".", import.meta.url)),
  configFile: false,
  base: "./",
  logLevel: "error",
  worker: { format: "es" },
  build: { outDir: folder, emptyOutDir: true, target: "esnext", chunkSizeWarningLimit: 4000, reportCompressedSize: false },
});
const { tab, close, version } = await openPage(await serveFolder(folder));
const threads = await tab.evaluate("navigator.hardwareConcurrency");
const native = await openDevice("cpu", { threads });
const rest = () => new Promise((resolve) => setTimeout(resolve, 60)); // idle threads of the one before stop spinning

async function measure(one) {
  const inNode = await benchStepper(native, one);
  const inTab = (system) => tab.evaluate((question) => globalThis.train(question), { system, one, threads, steps: stepsOfRound });
  const systems = {
    node: async () => {
      const ms = [];
      for (let i = 0; i < stepsOfRound; i++) ms.push(await inNode.step());
      return { results: ms.map((value) => ({ ms: value })) };
    },
    ours: () => inTab("ours"),
    "jax-js": () => inTab("jax-js"),
  };
  const times = Object.fromEntries(Object.keys(systems).map((name) => [name, []]));
  const losses = [];
  for (let round = -1; round < rounds; round++)
    for (const [name, run] of Object.entries(systems)) {
      await rest();
      const { results } = await run();
      if (round >= 0) times[name].push(...results.map(({ ms }) => ms));
      losses.push(...results.flatMap(({ loss }) => loss ?? []));
    }
  await inNode.dispose();
  if (!(losses.at(-1) < losses[0])) throw new Error(`jax-js does not learn: ${losses}`);
  return times;
}

console.log(`${version}, ${threads} threads, medians (least) of ${rounds * stepsOfRound} steps in ms`);
try {
  for (const one of benchCases) {
    const times = await measure(one);
    const [middle, least] = [median, (values) => Math.min(...values)].map((of) => (name) => of(times[name]));
    const shown = Object.keys(times).map((name) => `${name} ${middle(name).toFixed(0)} (${least(name).toFixed(0)})`);
    const ratios = ["node", "jax-js"].map((name) => `${name}/ours ${(middle(name) / middle("ours")).toFixed(2)} (${(least(name) / least("ours")).toFixed(2)})`);
    const gflops = (stepFlops(one) / least("ours") / 1e6).toFixed(0);
    console.log(`${one.batch}×${one.tokens}×${one.width}, ${one.layers}: ${shown.join(", ")}; ${ratios.join(", ")}; ${gflops} GFLOP/s`);
  }
} finally {
  await native.dispose();
  await close();
  rmSync(folder, { recursive: true, force: true });
}
