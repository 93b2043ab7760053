import { Command, Option } from "commander";
import { evaluationText } from "../evaluationText.ts";
import { positiveNumber } from "../options.ts";
import { print, printJson } from "../output.ts";

export function evaluateCommand(): Command {
  return new Command("evaluate")
    .description("measure a trained run: accuracy of the whole and of each block alone, cross-entropy at fixed noise levels")
    .argument("<run>", "folder of the run")
    .option("--data <path>", "data set to evaluate on (default: the run's own)")
    .option("--seeds <n>", "starting noises", positiveNumber, 3)
    .option("--per-class", "show the accuracy of each class")
    .addOption(new Option("--device <name>", "where to compute (default: the run's own)").choices(["auto", "cpu", "webgpu", "wasm"]))
    .option("--threads <n>", "threads (default: the run's own, else all cores)", positiveNumber)
    .option("--json", "print the result as JSON")
    .action(async (run: string, { data, seeds, perClass, device, threads, json }) => {
      const { evaluateRun, isOfClasses } = await import("../../experiments/index.ts");
      const result = await evaluateRun({ path: run, dataPath: data, seeds, device, threads });
      if (json) return printJson(result);
      print(evaluationText(result));
      if (!perClass || !isOfClasses(result)) return;
      for (const [name, accuracy] of Object.entries(result.classes)) print(`  ${name.padEnd(14)} ${(100 * accuracy).toFixed(1)} %`);
    });
}
