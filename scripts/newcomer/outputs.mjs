// What the documents say that commands print, compared with what they print.
//
// A block of code marked `text` whose first line is `$ npx dblocks …` shows the output of that command. Its lines must be those that are printed,
// in their order, with all that depends on the machine, on chance or on sizes reduced alike on both sides:
//   numbers, with sign, decimals and exponent, and hashes      -> #      (digits of a name, as in block-0, stay)
//   units of bytes and of time, which follow the number's size -> # B, # s
//   the process and its host                                   -> # on HOST
//   widths of columns: spaces and the rules of tables           -> one
// A line `…` stands for any lines, none included.

/** @returns what a document shows, by command. */
export function outputsOf(markdown) {
  const blocks = [...markdown.matchAll(/^```text\n\$ (npx dblocks .*)\n([\s\S]*?)\n```$/gm)];
  return new Map(blocks.map(([, command, output]) => [command, output]));
}

/** What remains of a line when all that may differ is reduced. */
export function shapeOf(line) {
  return line
    .replace(/\b[0-9a-f]{12,}\b/g, "#")
    .replace(/(?<![\w.-]|\w-)[-+−]?\d+([.,]\d+)*(e[-+]?\d+)?(?![\w-])/g, "#")
    .replace(/# (?:B|kB|MB|GB|TB)\b/g, "# B")
    .replace(/# (?:ms|s|min|h|days?)\b(?: # (?:ms|s|min|h)\b)*/g, "# s")
    .replace(/# on \S+/g, "# on HOST")
    .replace(/─+/g, "─")
    .replace(/[ \t]+/g, " ")
    .trim();
}

/** Why an output is not what a document shows, in words; undefined where it is. */
export function differenceOf(shown, printed) {
  const [wanted, found] = [shown, printed].map((text) => text.trim().split("\n").map(shapeOf));
  const fits = (i, j) => {
    if (i === wanted.length) return j === found.length;
    if (wanted[i] === "…") return fits(i + 1, j) || (j < found.length && fits(i, j + 1));
    return j < found.length && wanted[i] === found[j] && fits(i + 1, j + 1);
  };
  if (fits(0, 0)) return undefined;
  const first = wanted.findIndex((line) => line !== "…" && !found.includes(line));
  const where = first < 0 ? "its lines have another order or number" : `nothing printed is like "${shown.trim().split("\n")[first]}"`;
  return `${where}; printed was:\n${printed.trim()}`;
}
