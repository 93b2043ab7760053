import { setTimeout as pause } from "node:timers/promises";
import { Command } from "commander";
import { registry } from "../../index.ts";
import { runStatus, type UnitStatus } from "../../node.ts";
import { print } from "../output.ts";
import { statusLine, statusTable } from "../statusTable.ts";
import { positiveNumber } from "../words.ts";

/** Where nobody looks at a terminal, lines come no more often. */
const quietSeconds = 10;

export function watchCommand(): Command {
  return new Command("watch")
    .description(
      "follow a run that other processes train, until none of them does any more; in a terminal the table is renewed in its place",
    )
    .argument("<run>", "folder of the run")
    .option("--every <seconds>", "seconds between two looks", positiveNumber, 2)
    .action(async (path: string, { every }: { readonly every: number }) => {
      const isTerminal = process.stdout.isTTY;
      let lines = 0;
      let statuses: readonly UnitStatus[];
      for (;;) {
        statuses = await runStatus(registry, path);
        if (!isActive(statuses)) break;
        if (isTerminal) {
          process.stdout.write(lines === 0 ? "" : `\x1b[${lines}A\x1b[J`);
          const table = statusTable(statuses);
          print(table);
          lines = table.split("\n").length;
        } else print(statusLine(statuses));
        await pause(1000 * (isTerminal ? every : Math.max(every, quietSeconds)));
      }
      process.stdout.write(lines === 0 ? "" : `\x1b[${lines}A\x1b[J`);
      print(statusTable(statuses));
    });
}

function isActive(statuses: readonly UnitStatus[]): boolean {
  return statuses.some(({ state }) => state === "running" || state === "queued");
}
