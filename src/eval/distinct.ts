/**
 * The share of different n-grams among all n-grams of some texts (Li et al. 2016): near 0 where a text goes round in
 * circles, which a perplexity under another model takes for excellent. NaN for texts without any.
 */
export function distinct(texts: readonly ArrayLike<number>[], n = 2): number {
  const seen = new Set<string>();
  let count = 0;
  for (const text of texts) {
    const tokens = Array.from(text);
    for (let i = 0; i + n <= tokens.length; i++) {
      seen.add(tokens.slice(i, i + n).join());
      count++;
    }
  }
  return seen.size / count;
}
