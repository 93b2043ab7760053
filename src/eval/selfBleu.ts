/**
 * Self-BLEU (Zhu et al. 2018): the mean BLEU of each text with all others as references: near 1 where texts repeat each other.
 * BLEU (Papineni et al. 2002) up to n-grams of length `n`, with the brevity penalty to the nearest length, and 0.1 in the
 * place of a count of no matches (Chen & Cherry 2014, method 1), as their code does. NaN for fewer than two texts.
 */
export function selfBleu(texts: readonly ArrayLike<number>[], n = 4): number {
  if (texts.length < 2) return Number.NaN;
  const logs = new Float64Array(texts.length);
  for (let size = 1; size <= n; size++) {
    const counts = texts.map((text) => ngramCounts(text, size));
    const largest = largestTwo(counts);
    for (const [i, own] of counts.entries()) {
      let [matches, total] = [0, 0];
      for (const [gram, count] of own) {
        const { first, second, owner } = largest.get(gram)!;
        matches += Math.min(count, owner === i ? second : first);
        total += count;
      }
      logs[i]! += Math.log((matches === 0 ? 0.1 : matches) / Math.max(1, total)) / n;
    }
  }
  const lengths = texts.map(({ length }) => length);
  const scores = texts.map(({ length }, i) => {
    const nearest = nearestOther(lengths, i);
    return length === 0 ? 0 : Math.exp(logs[i]! + Math.min(0, 1 - nearest / length));
  });
  return scores.reduce((sum, score) => sum + score, 0) / texts.length;
}

function ngramCounts(text: ArrayLike<number>, n: number): Map<string, number> {
  const tokens = Array.from(text);
  const counts = new Map<string, number>();
  for (let i = 0; i + n <= tokens.length; i++) {
    const gram = tokens.slice(i, i + n).join();
    counts.set(gram, (counts.get(gram) ?? 0) + 1);
  }
  return counts;
}

interface Largest {
  first: number;
  second: number;
  /** The text with the largest count. */
  owner: number;
}

/** Of each n-gram, the largest count in a text, and the largest in any other. */
function largestTwo(counts: readonly ReadonlyMap<string, number>[]): Map<string, Largest> {
  const largest = new Map<string, Largest>();
  for (const [i, own] of counts.entries()) {
    for (const [gram, count] of own) {
      const known = largest.get(gram);
      if (known === undefined) largest.set(gram, { first: count, second: 0, owner: i });
      else if (count > known.first) largest.set(gram, { first: count, second: known.first, owner: i });
      else if (count > known.second) known.second = count;
    }
  }
  return largest;
}

/** The length of another text that is nearest to that of text `i`; of two the shorter. */
function nearestOther(lengths: readonly number[], i: number): number {
  const own = lengths[i]!;
  let best = Number.NaN;
  for (const [j, length] of lengths.entries()) {
    if (j === i) continue;
    const [distance, least] = [Math.abs(length - own), Math.abs(best - own)];
    if (Number.isNaN(best) || distance < least || (distance === least && length < best)) best = length;
  }
  return best;
}
