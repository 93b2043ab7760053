import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { buildMethod, openDevice, parseRunConfig, registry } from "../../index.ts";
import {
  benchCases,
  benchMethod,
  benchStepper,
  type Column,
  cpuCount,
  findPytorch,
  median,
  type PytorchProcess,
  readProfile,
  renderTable,
  type StepProfile,
  sgemmPeak,
  startPytorch,
  stepFlops,
  traceStepRuns,
} from "../../node.ts";
import { print, printJson, say } from "../output.ts";
import { wholeNumber } from "../words.ts";

const script = fileURLToPath(new URL("../../../bench/pytorch_step.py", import.meta.url));
const policies = ["PASSIVE", undefined] as const;

export function benchCommand(): Command {
  return new Command("bench")
    .description("time the training step, beside PyTorch where a python3 with torch is found; the two alternate in one run")
    .option("--steps <n>", "timed steps of each", wholeNumber, 9)
    .option("--threads <n>", "threads of either (all cores by default)", wholeNumber)
    .option("--profile <folder>", "instead, ONNX Runtime's own profile of a step, node by node: tables, and traces that Perfetto opens")
    .option("--json", "print the result as JSON")
    .action((options: BenchOptions) => (options.profile === undefined ? bench(options) : profile({ ...options, folder: options.profile })));
}

interface BenchOptions {
  readonly steps: number;
  readonly threads?: number;
  readonly profile?: string;
  readonly json?: boolean;
}

/** A step of each shape of the benchmark, and of each model as it is by default. */
async function profile({ steps, threads, folder, json }: BenchOptions & { readonly folder: string }): Promise<void> {
  await using device = await openDevice("cpu", { threads: threads ?? cpuCount() });
  mkdirSync(folder, { recursive: true });
  const shapes = benchCases.map((one) => ({
    name: `${one.batch}x${one.tokens}x${one.width}`,
    method: benchMethod(one),
    batchSize: one.batch,
  }));
  const models = registry.models.map((model) => {
    const config = parseRunConfig(registry, [{ model: model.name }]);
    const shape = model.task.shapeOf(model.task.commonInfo, config.data) as object;
    return { name: model.name, method: buildMethod(registry, config, shape), batchSize: Math.min(32, config.training.batchSize) };
  });
  const results = [];
  for (const { name, method, batchSize } of [...shapes, ...models]) {
    const trace = join(folder, name);
    const program = await traceStepRuns(device, { method, unit: method.units[0]!, batchSize, steps: steps + 1, trace });
    const written = readdirSync(folder).filter((file) => file.startsWith(`${name}_`) && file.endsWith(".json"));
    const path = `${trace}.json`;
    renameSync(join(folder, written.sort().at(-1)!), path);
    const result = readProfile(readFileSync(path, "utf8"), program);
    results.push({ name, method: method.name, batchSize, trace: path, ...result });
    if (!json)
      print(`${profileTables(`${name}, ${method.units[0]!.name} of ${method.name}, batch ${batchSize}`, result)}\ntrace: ${path}\n`);
  }
  if (json) printJson({ threads: device.threads, device: device.name, onnxRuntime: device.version, profiles: results });
  else print(`${device.threads} threads, ONNX Runtime ${device.version}. Traces open in https://ui.perfetto.dev.`);
}

function profileTables(title: string, { ms, operators, products, besideProducts }: StepProfile): string {
  const right = (name: string): Column => ({ title: name, align: "right" });
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const kinds = operators.slice(0, 12).map((one) => [one.operator, String(Math.round(one.nodes)), one.ms.toFixed(2), percent(one.share)]);
  const shapes = products
    .slice(0, 8)
    .map((one) => [one.operator, one.shapes, String(Math.round(one.nodes)), one.ms.toFixed(2), percent(one.share), one.gflops.toFixed(0)]);
  return [
    `${title}: ${ms.toFixed(1)} ms in nodes, ${percent(besideProducts)} beside products`,
    renderTable(["operator", right("nodes"), right("ms"), right("of the step")], kinds),
    renderTable(["product", "shapes", right("nodes"), right("ms"), right("of the step"), right("GFLOP/s")], shapes),
  ].join("\n\n");
}

async function bench({ steps, threads, json }: BenchOptions): Promise<void> {
  const count = threads ?? cpuCount();
  await using device = await openDevice("auto", { threads: count });
  const python = existsSync(script) ? findPytorch() : undefined;
  if (python === undefined) say("No python3 with torch was found: times without a comparison. (Debian: apt-get install python3-torch)");
  const torches: PytorchProcess[] =
    python === undefined ? [] : await Promise.all(policies.map((policy) => startPytorch(python, script, count, policy)));
  const rest = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 40));
  const ownPeak = await sgemmPeak(device);
  const torchPeaks: number[] = [];
  for (const torch of torches) torchPeaks.push(Number((await torch.ask({ sgemm: 2048 })).gflops));
  const rows = [];
  for (const one of benchCases) {
    const stepper = await benchStepper(device, one);
    const ours: number[] = [];
    const theirs: number[][] = torches.map(() => []);
    for (let i = -2; i < steps; i++) {
      await rest();
      const ms = await stepper.step();
      if (i >= 0) ours.push(ms);
      for (const [t, torch] of torches.entries()) {
        await rest();
        const [other] = (await torch.ask({ ...one, steps: 1 })).ms as number[];
        if (i >= 0) theirs[t]!.push(other!);
      }
    }
    await stepper.dispose();
    const ms = median(ours);
    const torchMs = theirs.length === 0 ? null : Math.min(...theirs.map(median));
    const gflops = stepFlops(one) / ms / 1e6;
    rows.push({
      ...one,
      ms,
      minMs: Math.min(...ours),
      itemsPerSecond: (1000 * one.batch) / ms,
      gflops,
      shareOfSgemm: gflops / ownPeak,
      pytorchMs: torchMs,
      ratio: torchMs === null ? null : torchMs / ms,
    });
  }
  for (const torch of torches) torch.stop();
  const setting = {
    threads: count,
    device: device.name,
    onnxRuntime: device.version,
    torch: torches[0]?.version ?? null,
    cpu: cpus()[0]?.model ?? "unknown",
    sgemmGflops: ownPeak,
    pytorchSgemmGflops: torchPeaks.length === 0 ? null : Math.max(...torchPeaks),
  };
  if (json) return printJson({ ...setting, rows });
  const columns: (string | Column)[] = [
    "shape",
    "layers",
    "ms (median)",
    "items/s",
    "GFLOP/s",
    "of ONNX Runtime's sgemm",
    "PyTorch ms",
    { title: "PyTorch / ours", best: "max" },
  ];
  const cells = rows.map((row) => [
    `${row.batch}×${row.tokens}×${row.width}`,
    row.layers,
    row.ms.toFixed(1),
    row.itemsPerSecond.toFixed(0),
    row.gflops.toFixed(0),
    `${(100 * row.shareOfSgemm).toFixed(0)} %`,
    row.pytorchMs?.toFixed(1) ?? "–",
    row.ratio === null ? "–" : { text: row.ratio.toFixed(2), value: row.ratio },
  ]);
  const others =
    setting.pytorchSgemmGflops === null
      ? ""
      : `, PyTorch ${setting.torch} ${setting.pytorchSgemmGflops.toFixed(0)} GFLOP/s (OMP_WAIT_POLICY PASSIVE or unset, the kinder for each shape)`;
  print(
    `${renderTable(columns, cells)}\n${setting.cpu}, ${count} threads; sgemm 2048³: ONNX Runtime ${device.version} ${ownPeak.toFixed(0)} GFLOP/s${others}`,
  );
}
