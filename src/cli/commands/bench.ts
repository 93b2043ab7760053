import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { openDevice } from "../../index.ts";
import {
  benchCases,
  benchStepper,
  type Column,
  cpuCount,
  findPytorch,
  median,
  type PytorchProcess,
  renderTable,
  sgemmPeak,
  startPytorch,
  stepFlops,
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
    .option("--json", "print the result as JSON")
    .action(bench);
}

async function bench({ steps, threads, json }: { steps: number; threads?: number; json?: boolean }): Promise<void> {
  const count = threads ?? cpuCount();
  await using device = await openDevice("auto", { threads: count });
  const python = existsSync(script) ? findPytorch() : undefined;
  if (python === undefined) say("No python3 with torch was found: times without a comparison. (Debian: apt-get install python3-torch)");
  const torches: PytorchProcess[] =
    python === undefined ? [] : await Promise.all(policies.map((policy) => startPytorch(python, script, count, policy)));
  const rest = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 40));
  const peaks = [await sgemmPeak(device)];
  for (const torch of torches) peaks.push(Number((await torch.ask({ sgemm: 2048 })).gflops));
  const peak = Math.max(...peaks);
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
      shareOfSgemm: gflops / peak,
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
    sgemmGflops: peak,
  };
  if (json) return printJson({ ...setting, rows });
  const columns: (string | Column)[] = [
    "shape",
    "layers",
    "ms (median)",
    "items/s",
    "GFLOP/s",
    "of sgemm",
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
  print(
    `${renderTable(columns, cells)}\n${count} threads; sgemm 2048³ ${peak.toFixed(0)} GFLOP/s, the best of ONNX Runtime ${device.version}${setting.torch ? ` and PyTorch ${setting.torch} (OMP_WAIT_POLICY PASSIVE or unset, the kinder for each shape)` : ""}`,
  );
}
