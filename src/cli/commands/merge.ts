import { Command } from "commander";
import { registry } from "../../index.ts";
import { exitCodes, mergeRuns, openTrainedRun, renderTable, shellCommand, verifyRun } from "../../node.ts";
import { print, printJson, say } from "../output.ts";

export function mergeCommand(): Command {
  return new Command("merge")
    .description("put blocks that were trained in several run folders, on whatever machines, into one run, and verify it")
    .argument("<runs...>", "folders of runs with one configuration, each with some of the blocks")
    .requiredOption("--out <folder>", "where the whole run is put")
    .option("--newest", "of a block that two runs hold at different steps, take the one that came furthest")
    .option("--json", "print the result as JSON")
    .action(merge);
}

async function merge(paths: readonly string[], { out, newest, json }: { out: string; newest?: boolean; json?: boolean }): Promise<void> {
  const { units, missing } = await mergeRuns({ registry, paths, out, ...(newest && { newest }) });
  const { folder, method, hash, config } = await openTrainedRun(registry, out);
  const checks = missing.length > 0 ? [] : await verifyRun({ folder, method, configHash: hash });
  const failed = checks.filter(({ ok }) => !ok);
  if (failed.length > 0) process.exitCode = exitCodes.failed;
  if (json) return printJson({ run: out, units, missing, checks });
  print(
    renderTable(
      ["unit", "from", { title: "step", align: "right" }],
      units.map(({ unit, path, step }) => [unit, path, String(step)]),
    ),
  );
  for (const { name, detail } of failed) print(`FAILED ${name}: ${detail}`);
  const words = ["dblocks", "train", config.model.name, "--run", out];
  if (missing.length === 0) say(`All ${units.length} are there. This evaluates them together: ${shellCommand(words)}`);
  else say(`${missing.join(", ")} is in none of them. To train it: ${shellCommand([...words, "--units", missing.join(",")])}`);
}
