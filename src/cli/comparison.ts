import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { UsageError } from "../index.ts";
import { type CompareOptions, compare, type FidMeasure, shellCommand, type TunedOption, tunedOptions, validationTitle } from "../node.ts";
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

/** The option by which each system gets its own best learning rate. */
export function withTuneOption(command: Command): Command {
  const names = tunedOptions.map(({ name }) => name).join(", ");
  const description = `choose options of training for each system on a validation part, the test part unread: ${names} (without a list: lr)`;
  return command.option("--tune [list]", description);
}

/** @throws {UsageError} for an option that is not tuned. */
export function tunedOf({ tune }: { readonly tune?: string | true }): readonly TunedOption[] {
  if (tune === undefined) return [];
  const names = tune === true ? ["lr"] : tune.split(",").map((name) => name.trim());
  return names.map((name) => {
    const option = tunedOptions.find((one) => one.name === name);
    if (option !== undefined) return option;
    const known = tunedOptions.map((one) => one.name);
    throw new UsageError("notTuned", { name, known }, `--tune ${tune}: "${name}" is not tuned. Options: ${known.join(", ")}.`);
  });
}

/** Runs a comparison: tells each run as it ends, prints the table, and when it was stopped how to go on. */
export async function runComparison(
  options: Omit<CompareOptions, "script" | "onTrial" | "onRun" | "onLine" | "signal">,
  json: boolean,
): Promise<void> {
  const interruption = watchInterruption(() => say("Stopping after this step …"));
  const { runs, tuning, table, reportPath, finished } = await compare({
    ...options,
    script: fileURLToPath(new URL("main.js", import.meta.url)),
    signal: interruption.signal,
    onLine: (name, line) => say(`[${name}] ${line}`),
    onTrial: ({ system, option, value, share, score }, isNew) => {
      const result = score === undefined ? "diverged" : `${validationTitle(score)} ${score.value.toFixed(score.digits)}`;
      say(`tuning ${system}, --${option} ${value}, ${share} of a training: ${result}${isNew ? "" : " (was there)"}`);
    },
    onRun: ({ method, seed, score, seconds, trainingBytes }, isNew) => {
      const cost = [
        ...(seconds === undefined ? [] : [`, ${seconds.toFixed(0)} s`]),
        ...(trainingBytes === undefined ? [] : [`, ${(trainingBytes / 1e6).toFixed(0)} MB`]),
      ];
      say(`${method}, seed ${seed}: ${score.title} ${score.value.toFixed(score.digits)}${cost.join("")}${isNew ? "" : " (was there)"}`);
    },
  });
  if (json) printJson({ runs, ...tuning, report: reportPath });
  else if (runs.length > 0) print(`${table}\n\nreport: ${reportPath}`);
  if (finished) return;
  say(`Stopped; the runs made so far are kept. To resume: ${shellCommand(["dblocks", ...process.argv.slice(2)])}`);
  process.exitCode = interruption.exitCode() ?? 1;
}
