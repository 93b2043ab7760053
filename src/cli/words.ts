import { InvalidArgumentError } from "commander";

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

/** The value of an option on a command line, `--name value` or `--name=value`: for what must be known before options are parsed. */
export function valueIn(words: readonly string[], name: string): string | undefined {
  const at = words.findIndex((word) => word === `--${name}` || word.startsWith(`--${name}=`));
  if (at < 0) return undefined;
  const [, ...inline] = words[at]!.split("=");
  return inline.length > 0 ? inline.join("=") : words[at + 1];
}
