import { Command } from "commander";
import { registry } from "../../index.ts";
import { renderTable, runStatus } from "../../node.ts";
import { duration, print, printJson } from "../output.ts";

export function statusCommand(): Command {
  return new Command("status")
    .description("every block of a run, wherever it is trained: from the run's folder, and from Slurm's queue where there is one")
    .argument("<run>", "folder of the run")
    .option("--json", "print the result as JSON")
    .action(async (path: string, { json }) => {
      const statuses = await runStatus(registry, path);
      if (json) return printJson(statuses);
      const right = (title: string) => ({ title, align: "right" }) as const;
      const columns = ["unit", "state", right("step"), right("loss"), right("last line"), right("left"), "process"];
      const rows = statuses.map(({ unit, state, step, steps, loss, updated, secondsLeft, where }) => [
        unit,
        state,
        steps === undefined ? String(step) : `${step}/${steps}`,
        loss === undefined ? "" : loss.toFixed(4),
        updated === undefined ? "" : `${duration(Date.now() / 1000 - updated)} ago`,
        secondsLeft === undefined ? "" : duration(secondsLeft),
        where ?? "",
      ]);
      print(renderTable(columns, rows));
    });
}
