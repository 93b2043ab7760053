import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { type CompareOptions, compare, type FidMeasure, shellCommand } from "../node.ts";
import { watchInterruption } from "./interruption.ts";

import { print, printJson, say } from "./output.ts";
import { number, positiveNumber } from "./words.ts";

/** Options of judging images, for models that make some. */
export function withFidOptions(command: Command): Command {
  return command
    .option("--features <file>", "an ONNX file from images to features, for FID (see dblocks features)")
    .option("--samples <n>", "images drawn for each of three FIDs", positiveNumber, 1000)
    .option("--guidance <s>", "classifier-free guidance of those images", number, 1)
    .option("--steps <n>", "steps of their trajectory", positiveNumber, 18);
}

export function fidMeasure(options: Readonly<Record<string, unknown>>): { readonly fid?: FidMeasure } {
  const { features, samples, guidance, steps } = options as Partial<FidMeasure>;
  return features === undefined ? {} : { fid: { features, samples: samples!, guidance: guidance!, steps: steps! } };
}

/** Runs a comparison: tells each run as it ends, prints the table, and when it was stopped how to go on. */
export async function runComparison(options: Omit<CompareOptions, "script" | "onRun" | "onLine" | "signal">, json: boolean): Promise<void> {
  const interruption = watchInterruption(() => say("Stopping after this step …"));
  const { runs, table, reportPath, finished } = await compare({
    ...options,
    script: fileURLToPath(new URL("main.js", import.meta.url)),
    signal: interruption.signal,
    onLine: (name, line) => say(`[${name}] ${line}`),
    onRun: ({ method, seed, score, seconds, trainingBytes }, isNew) => {
      const cost = [
        ...(seconds === undefined ? [] : [`, ${seconds.toFixed(0)} s`]),
        ...(trainingBytes === undefined ? [] : [`, ${(trainingBytes / 1e6).toFixed(0)} MB`]),
      ];
      say(`${method}, seed ${seed}: ${score.title} ${score.value.toFixed(score.digits)}${cost.join("")}${isNew ? "" : " (was there)"}`);
    },
  });
  if (json) printJson({ runs, report: reportPath });
  else if (runs.length > 0) print(`${table}\n\nreport: ${reportPath}`);
  if (finished) return;
  say(`Stopped; the runs made so far are kept. To resume: ${shellCommand(["dblocks", ...process.argv.slice(2)])}`);
  process.exitCode = interruption.exitCode() ?? 1;
}
