import { Command } from "commander";
import { registry } from "../../index.ts";
import { differences, LiveRuns, openTrainedRun, renderTable } from "../../node.ts";
import { duration, print, printJson } from "../output.ts";

export function runsCommand(): Command {
  return new Command("runs")
    .description("list the runs of a folder with their state; diff shows where the configurations of two of them differ")
    .argument("[folder]", "folder of runs", "runs")
    .option("--json", "print the result as JSON")
    .action(async (folder: string, { json }) => {
      const runs = await new LiveRuns(folder, registry).list();
      if (json) return printJson(runs);
      if (runs.length === 0) return print(`There is no run in ${folder}.`);
      const right = (title: string) => ({ title, align: "right" }) as const;
      const rows = runs.map(({ name, state, model, method, data, units, fault }) => {
        const left = Math.max(0, ...units.map(({ secondsLeft = 0 }) => secondsLeft));
        const steps = units.map(({ step }) => step);
        const all = units[0]?.steps;
        const count = steps.length === 0 ? "" : `${Math.min(...steps)}${all === undefined ? "" : `/${all}`}`;
        const what = fault?.slice(0, 60) ?? `${model}, ${method}, ${data.split("/").at(-1)}`;
        return [name, state, what, count, left > 0 ? duration(left) : ""];
      });
      print(renderTable(["run", "state", "what", right("step"), right("left")], rows));
    })
    .addCommand(
      new Command("diff")
        .description("the options in which two runs differ")
        .argument("<a>", "folder of a run")
        .argument("<b>", "folder of another one")
        .option("--json", "print the result as JSON")
        .action(async (a: string, b: string, _: object, command: Command) => {
          const { json } = command.optsWithGlobals();
          const [first, second] = [await openTrainedRun(registry, a), await openTrainedRun(registry, b)];
          const found = differences(first.config, second.config);
          if (json) return printJson(found);
          if (found.length === 0) return print("The two runs have the same configuration.");
          const text = (value: unknown): string => (value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value));
          print(
            renderTable(
              ["option", a, b],
              found.map(({ key, a: left, b: right }) => [key, text(left), text(right)]),
            ),
          );
        }),
    );
}
