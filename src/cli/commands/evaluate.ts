import { Command, Option } from "commander";
import { wholeNumber } from "../options.ts";
import { print, printJson } from "../output.ts";

export function evaluateCommand(): Command {
  return new Command("evaluate")
    .description("measure a trained run: test accuracy of the whole and of each block alone")
    .argument("<run>", "folder of the run")
    .option("--data <path>", "data set to evaluate on (default: the run's own)")
    .option("--seeds <n>", "seeds of the starting noise", wholeNumber, 3)
    .addOption(new Option("--device <name>", "where to compute (default: the run's own)").choices(["auto", "cpu", "webgpu", "wasm"]))
    .option("--threads <n>", "threads (all cores unless told)", wholeNumber)
    .option("--json", "print the result as JSON")
    .action(async (run: string, { data, seeds, device, threads, json }) => {
      const { evaluateRun } = await import("../../experiments/index.ts");
      const result = await evaluateRun({ path: run, dataPath: data, seeds: Math.max(1, seeds), device, threads });
      if (json) return printJson(result);
      print(`test accuracy ${(100 * result.mean).toFixed(2)} ± ${(100 * result.std).toFixed(2)} %`);
      for (const [name, accuracy] of Object.entries(result.units)) print(`  ${name} alone ${(100 * accuracy).toFixed(2)} %`);
    });
}
