import { type Command, InvalidArgumentError, Option } from "commander";
import { executionOptions, UsageError } from "../index.ts";

export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("A number is expected.");
  return value;
}

export function wholeNumber(text: string): number {
  const value = number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError("A whole number of at least 0 is expected.");
  return value;
}

export function positiveNumber(text: string): number {
  const value = wholeNumber(text);
  if (value === 0) throw new InvalidArgumentError("A whole number of at least 1 is expected.");
  return value;
}

/**
 * The value of an option on a command line, `--name value` or `--name=value`, the last one: for what must be known before options are
 * parsed.
 */
export function valueIn(words: readonly string[], name: string): string | undefined {
  const at = words.findLastIndex((word) => word === `--${name}` || word.startsWith(`--${name}=`));
  if (at < 0) return undefined;
  const [, ...inline] = words[at]!.split("=");
  return inline.length > 0 ? inline.join("=") : words[at + 1];
}

/** Where a trained run computes. */
export function deviceOption(): Option {
  return new Option("--device <name>", "where to compute (default: the run's own)").choices(executionOptions.shape.device.unwrap().options);
}

/** Its threads. */
export function threadsOption(): Option {
  return new Option("--threads <n>", "threads (default: the run's own, else all cores)").argParser(positiveNumber);
}

/**
 * Refuses options that were given and that a run of this kind does not have: an option that does nothing is a mistake.
 *
 * @param names as attributes of the parsed options: "topK".
 * @param why such as "it is for text, and runs/dit draws images".
 */
export function refuseOptions(command: Command, names: readonly string[], why: string): void {
  const given = command.options.filter((option) => {
    const name = option.attributeName();
    return names.includes(name) && command.getOptionValueSource(name) === "cli";
  });
  const [first] = given;
  if (first !== undefined) throw new UsageError("unusedOption", { option: first.long }, `${first.long}: ${why}. Leave it out.`);
}

/** "1,2,4" -> [1, 2, 4], each above 0. */
export function positiveNumbers(text: string): readonly number[] {
  return text.split(",").map((part) => {
    const value = number(part);
    if (value <= 0) throw new InvalidArgumentError("Numbers above 0 are expected, such as 1,2,4.");
    return value;
  });
}

/** "0,2" -> ["0", "2"] */
export function list(text: string): readonly string[] {
  return text.split(",");
}

/** A probability above 0. */
export function probability(text: string): number {
  const value = number(text);
  if (!(value > 0 && value <= 1)) throw new InvalidArgumentError("A probability above 0 and at most 1 is expected.");
  return value;
}

/** A number of at least 0. */
export function nonNegative(text: string): number {
  const value = number(text);
  if (value < 0) throw new InvalidArgumentError("A number of at least 0 is expected.");
  return value;
}

/** Which checkpoint of a run is used. */
export function checkpointOption(): Option {
  return new Option("--checkpoint <which>", "of each unit (default: the best, where one was kept)").choices(["best", "last"]);
}
