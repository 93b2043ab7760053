/** Columns that are taken for the class of a sample where none is named, the first that is there. */
const usual = ["label", "labels", "class", "target", "fine_label", "species", "y"];

/**
 * The column of the classes: the one that is named, else one of the usual names, else none.
 *
 * @returns its place; undefined if there is none.
 */
export function labelColumn(columns: readonly string[], named: string | undefined): number | undefined {
  const lower = columns.map((name) => name.toLowerCase());
  const found = named !== undefined ? columns.indexOf(named) : usual.map((name) => lower.indexOf(name)).find((at) => at >= 0);
  return found === undefined || found < 0 ? undefined : found;
}

/**
 * Classes from the values of a column: integers from 0 on as they are, all else by name, in the order of the names.
 *
 * @returns `undefined` for names where the values are numbers of classes.
 */
export function classesOf(values: readonly string[]): { readonly labels: Int32Array; readonly names: readonly string[] | undefined } {
  const numbers = values.map(Number);
  const isNumbered = numbers.every((number, i) => Number.isInteger(number) && number >= 0 && number < 2 ** 31 && values[i]!.trim() !== "");
  if (isNumbered) return { labels: Int32Array.from(numbers), names: undefined };
  const names = [...new Set(values)].sort();
  const places = new Map(names.map((name, place) => [name, place]));
  return { labels: Int32Array.from(values, (value) => places.get(value)!), names };
}
