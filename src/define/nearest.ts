/** ` Did you mean "width"?`, or nothing where no name is near. */
export function nearest(given: string, known: Iterable<string>): string {
  if (given.length > 100) return "";
  const [name, distance] = [...known]
    .map((one) => [one, editDistance(given.toLowerCase(), one.toLowerCase())] as const)
    .sort((one, other) => one[1] - other[1])[0] ?? ["", Number.POSITIVE_INFINITY];
  return distance <= Math.max(1, Math.floor(given.length / 3)) ? ` Did you mean "${name}"?` : "";
}

/** Letters to add, remove, replace or exchange with their neighbour to make `b` of `a` (Damerau-Levenshtein). */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const exchanged =
        i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? rows[i - 2]![j - 2]! + 1 : Number.POSITIVE_INFINITY;
      row.push(Math.min(row[j - 1]! + 1, rows[i - 1]![j]! + 1, replaced, exchanged));
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
