import { CommanderError } from "commander";
import { DataError, DiffusionBlocksError, PartitionError, type Registry } from "../index.ts";
import { exitCodeOf, exitCodes } from "../node.ts";
import { explainFlag, type NamedRun } from "./runOptions.ts";

/** The exit code of the command line: see `ExitCodes`; a partition that does not fit, or a batch beyond the data, is a wrong option. */
export function exitCodeOfError(error: unknown): number {
  if (error instanceof CommanderError || error instanceof PartitionError) return exitCodes.wrongUsage;
  if (error instanceof DataError && error.code === "batchTooLarge") return exitCodes.wrongUsage;
  return exitCodeOf(error);
}

/** Context by which an error is explained. */
export interface ErrorContext {
  readonly run: NamedRun | undefined;
  readonly registry: Registry;
  readonly debug: boolean;
}

/** An error in one line; nothing where help was shown in its place. With `debug`, where it comes from. */
export function messageOfError(error: unknown, command: string | undefined, context: ErrorContext): string {
  if (error instanceof CommanderError) return usageMessage(error, command, context);
  if (!(error instanceof Error)) return String(error);
  if (context.debug) return error.stack ?? error.message;
  const text = oneLine(error.message);
  return error instanceof DiffusionBlocksError ? text : `internal: ${text} (--debug shows where)`;
}

function usageMessage({ code, message }: CommanderError, command: string | undefined, { run, registry }: ErrorContext): string {
  if (/^commander\.(help|helpDisplayed|version)$/.test(code)) return "";
  const fault = message
    .replace(/^error: /, "")
    .replace(/\s+/g, " ")
    .trim();
  const flag = code === "commander.unknownOption" ? /--([\w-]+)/.exec(fault)?.[1] : undefined;
  const nearest = /\(Did you mean [^)]*\)/.exec(fault)?.[0] ?? "";
  const text = flag !== undefined && run !== undefined ? `${explainFlag(registry, run, flag)} ${nearest}`.trim() : fault;
  return `${text}${/[.)]$/.test(text) ? "" : "."} "dblocks ${command === undefined ? "" : `${command} ${run === undefined ? "" : `${run.model.name} `}`}--help" shows what there is.`;
}

/** Lists of faults have one on each line: "options:\n a\n b" becomes "options: a; b". */
function oneLine(text: string): string {
  return text
    .trim()
    .replace(/:\s*\n\s*/g, ": ")
    .replace(/\s*\n\s*(?=\()/g, " ")
    .replace(/\.?\s*\n\s*/g, "; ");
}
