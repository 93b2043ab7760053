import { fileURLToPath } from "node:url";
import type { CompareOptions } from "../experiments/index.ts";
import { watchInterruption } from "./interruption.ts";
import { print, printJson, say, shellCommand } from "./output.ts";

/** Runs a comparison: tells each run as it ends, prints the table, and when it was stopped how to go on. */
export async function runComparison(options: Omit<CompareOptions, "script" | "onRun" | "onLine" | "signal">, json: boolean): Promise<void> {
  const { compare } = await import("../experiments/index.ts");
  const interruption = watchInterruption(() => say("Stopping after this step …"));
  const { runs, table, reportPath, finished } = await compare({
    ...options,
    script: fileURLToPath(new URL("main.js", import.meta.url)),
    signal: interruption.signal,
    onLine: (name, line) => say(`[${name}] ${line}`),
    onRun: ({ method, seed, accuracy, seconds, trainingBytes }, isNew) => {
      const cost = [
        ...(seconds === undefined ? [] : [`, ${seconds.toFixed(0)} s`]),
        ...(trainingBytes === undefined ? [] : [`, ${(trainingBytes / 1e6).toFixed(0)} MB`]),
      ];
      say(`${method}, seed ${seed}: ${(100 * accuracy).toFixed(2)} %${cost.join("")}${isNew ? "" : " (was there)"}`);
    },
  });
  if (json) printJson({ runs, report: reportPath });
  else if (runs.length > 0) print(`${table}\n\nreport: ${reportPath}`);
  if (finished) return;
  say(`Stopped; the runs made so far are kept. To go on: ${shellCommand(["dblocks", ...process.argv.slice(2)])}`);
  process.exitCode = interruption.exitCode() ?? 1;
}
