import { Command } from "commander";
import { registry } from "../../index.ts";
import { runStatus } from "../../node.ts";
import { print, printJson } from "../output.ts";
import { statusTable } from "../statusTable.ts";

export function statusCommand(): Command {
  return new Command("status")
    .description("every block of a run, wherever it is trained: from the run's folder, and from Slurm's queue where there is one")
    .argument("<run>", "folder of the run")
    .option("--json", "print the result as JSON")
    .action(async (path: string, { json }) => {
      const statuses = await runStatus(registry, path);
      if (json) printJson(statuses);
      else print(statusTable(statuses));
    });
}
