#!/usr/bin/env node
import { readFileSync, writeSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { registry } from "../index.ts";
import { exitCodes } from "../node.ts";
import type { CommandContext } from "./context.ts";
import { exitCodeOfError, messageOfError } from "./failure.ts";
import { loadPlugins } from "./plugins.ts";
import { namedRun } from "./runOptions.ts";
import { stage } from "./stage.ts";

/** Loaded when they are named, or all of them for the list of commands. */
const commands: Readonly<Record<string, (context: CommandContext) => Promise<Command>>> = {
  demo: async () => (await import("./commands/demo.ts")).demoCommand(),
  train: async (context) => (await import("./commands/train.ts")).trainCommand(context),
  evaluate: async () => (await import("./commands/evaluate.ts")).evaluateCommand(),
  predict: async () => (await import("./commands/predict.ts")).predictCommand(),
  sample: async () => (await import("./commands/sample.ts")).sampleCommand(),
  export: async () => (await import("./commands/export.ts")).exportCommand(),
  import: async () => (await import("./commands/import.ts")).importCommand(),
  finetune: async () => (await import("./commands/finetune.ts")).finetuneCommand(),
  features: async () => (await import("./commands/features.ts")).featuresCommand(),
  compare: async (context) => (await import("./commands/compare.ts")).compareCommand(context),
  reproduce: async (context) => (await import("./commands/reproduce.ts")).reproduceCommand(context),
  plan: async (context) => (await import("./commands/plan.ts")).planCommand(context),
  partition: async () => (await import("./commands/partition.ts")).partitionCommand(),
  data: async () => (await import("./commands/data.ts")).dataCommand(),
  studio: async () => (await import("./commands/studio.ts")).studioCommand(),
  config: async () => (await import("./commands/config.ts")).configCommand(),
  launch: async (context) => (await import("./commands/launch.ts")).launchCommand(context),
  status: async () => (await import("./commands/status.ts")).statusCommand(),
  watch: async () => (await import("./commands/watch.ts")).watchCommand(),
  runs: async () => (await import("./commands/runs.ts")).runsCommand(),
  merge: async () => (await import("./commands/merge.ts")).mergeCommand(),
  verify: async () => (await import("./commands/verify.ts")).verifyCommand(),
  bench: async () => (await import("./commands/bench.ts")).benchCommand(),
  doctor: async () => (await import("./commands/doctor.ts")).doctorCommand(),
  completion: async () => (await import("./commands/completion.ts")).completionCommand(() => loaded(others("completion"))),
};

function others(name: string): readonly string[] {
  return Object.keys(commands).filter((one) => one !== name);
}

/** Commands as they are without words behind them. */
async function loaded(names: readonly string[]): Promise<readonly Command[]> {
  return Promise.all(names.map((name) => commands[name]!({ words: [], pluginArgs: [] })));
}

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
    .option("--plugin <file>", "ES module whose models and methods become available; may be repeated", collected)
    .option("--debug", "show where an error comes from");
}

/** The values of an option that may be repeated. */
function collected(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** With which Node ends where the module itself waits for a promise that nobody can settle any more. */
const unsettled = 13;

// A reader that closes its end early, such as head, is no failure.
process.stdout.on("error", (error) => {
  if (!isUnread(error)) throw error;
  process.exit();
});
// Nobody reads the progress any more: the work goes on.
process.stderr.on("error", (error) => {
  if (!isUnread(error)) throw error;
});

/** Whether a write failed because the pipe's reader or the terminal is gone. */
function isUnread({ code }: NodeJS.ErrnoException): boolean {
  return ["EPIPE", "EIO", "ERR_STREAM_DESTROYED"].includes(code ?? "");
}

// The net under all that is awaited: a promise that nobody settles ends a process in silence.
let isSettled = false;
process.on("exit", () => {
  if (isSettled || process.exitCode !== unsettled) return;
  const waiting = `dblocks: internal: ${named ?? "dblocks"} ended without a result, while ${stage()}. Please report it with the command and its files.`;
  process.exitCode = exitCodes.failed;
  try {
    writeSync(process.stderr.fd, `${waiting}\n`);
  } catch {} // nobody reads it
});

try {
  const pluginArgs = await loadPlugins(registry, words);
  const context = { words: named === undefined ? [] : words.slice(words.indexOf(named) + 1), pluginArgs };
  for (const name of named === undefined ? Object.keys(commands) : [named])
    program.addCommand(withCommonOptions(await commands[name]!(context)));
  await program.parseAsync();
} catch (error) {
  const run = named === undefined ? undefined : await namedRun(registry, words.slice(words.indexOf(named) + 1)).catch(() => undefined);
  const message = messageOfError(error, named, { run, registry, debug: words.includes("--debug") });
  if (message !== "") process.stderr.write(`dblocks: ${message}\n`);
  process.exitCode = error instanceof CommanderError && error.exitCode === 0 ? 0 : exitCodeOfError(error);
}
isSettled = true;
