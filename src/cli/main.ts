#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { exitCodeOfError, messageOfError } from "./failure.ts";

/** Loaded when they are named, or all of them for the list of commands. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  demo: async () => (await import("./commands/demo.ts")).demoCommand(),
  train: async () => (await import("./commands/train.ts")).trainCommand(),
  evaluate: async () => (await import("./commands/evaluate.ts")).evaluateCommand(),
  sample: async () => (await import("./commands/sample.ts")).sampleCommand(),
  features: async () => (await import("./commands/features.ts")).featuresCommand(),
  compare: async () => (await import("./commands/compare.ts")).compareCommand(),
  reproduce: async () => (await import("./commands/reproduce.ts")).reproduceCommand(),
  plan: async () => (await import("./commands/plan.ts")).planCommand(),
  partition: async () => (await import("./commands/partition.ts")).partitionCommand(),
  verify: async () => (await import("./commands/verify.ts")).verifyCommand(),
  bench: async () => (await import("./commands/bench.ts")).benchCommand(),
  doctor: async () => (await import("./commands/doctor.ts")).doctorCommand(),
};

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
const words = process.argv.slice(2);
const named = words.find((word) => Object.hasOwn(commands, word));
const program = withCommonOptions(new Command("dblocks"))
  .description("Train neural networks one block at a time (DiffusionBlocks).")
  .version(version);

/** Errors are written below, in one line, and not by the parser. */
function withCommonOptions(command: Command): Command {
  return command
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .option("--debug", "show where an error comes from");
}

// A reader that closes its end early, such as head, is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

try {
  for (const name of named === undefined ? Object.keys(commands) : [named]) program.addCommand(withCommonOptions(await commands[name]!()));
  await program.parseAsync();
} catch (error) {
  const message = messageOfError(error, named, words.includes("--debug"));
  if (message !== "") process.stderr.write(`dblocks: ${message}\n`);
  process.exitCode = error instanceof CommanderError && error.exitCode === 0 ? 0 : exitCodeOfError(error);
}
