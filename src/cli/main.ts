#!/usr/bin/env node
import { Command, CommanderError } from "commander";
import { DiffusionBlocksError } from "../errors.ts";
import { exitCodeOf, exitCodes } from "../run/exitCodes.ts";
import { benchCommand } from "./commands/bench.ts";
import { demoCommand } from "./commands/demo.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { evaluateCommand } from "./commands/evaluate.ts";
import { partitionCommand } from "./commands/partition.ts";
import { planCommand } from "./commands/plan.ts";
import { trainCommand } from "./commands/train.ts";
import { verifyCommand } from "./commands/verify.ts";

const program = new Command("dblocks")
  .description("Train neural networks one block at a time (DiffusionBlocks).")
  .option("--debug", "show stack traces of errors")
  .showHelpAfterError("(--help shows all options)")
  .exitOverride();

for (const make of [
  demoCommand,
  trainCommand,
  evaluateCommand,
  planCommand,
  partitionCommand,
  verifyCommand,
  benchCommand,
  doctorCommand,
]) {
  program.addCommand(make().exitOverride().option("--debug", "show stack traces of errors"));
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.wrongUsage;
  else {
    const known = error instanceof DiffusionBlocksError;
    const message = known || !(error instanceof Error) ? String((error as Error).message ?? error) : `internal: ${error.message}`;
    process.stderr.write(
      `dblocks: ${process.argv.includes("--debug") && error instanceof Error ? error.stack : message.replaceAll("\n", " ")}\n`,
    );
    process.exitCode = exitCodeOf(error) === exitCodes.neverWorks ? usageOrFailure(error) : exitCodeOf(error);
  }
}

/** On the command line: 2 where the options are at fault, 1 where the data or files are. */
function usageOrFailure(error: unknown): number {
  const name = error instanceof Error ? error.name : "";
  return name === "PartitionError" || (error as DiffusionBlocksError).code === "batchTooLarge" ? exitCodes.wrongUsage : exitCodes.failed;
}
