/**
 * One 32-bit word per (key, counter): the whole source of randomness. No state, integer operations only, so every
 * platform computes the same words.
 */

/** 2^32 / golden ratio, rounded to odd: spreads neighbouring counters over the whole word. */
const GOLDEN = 0x9e3779b9;
/** Odd steps between the lanes of a key, one for each half, so that no lane is a shifted copy of another. */
const LANE_HI = 0x85ebca6b;
const LANE_LO = 0xc2b2ae35;

/**
 * A bijection of 32-bit words in which every input bit flips every output bit with probability 1/2 (mean bias 1.1e-4).
 * @see C. Wellons, "Prospecting for hash functions"; these constants: T. Boeckx, github.com/skeeto/hash-prospector, issue 19.
 */
export function mix32(word: number): number {
  let x = word;
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0xd35a2d97);
  return x ^ (x >>> 15);
}

/**
 * Word number `counter` of the stream (hi, lo), as a signed 32-bit integer. Two mixing rounds, one for each half of the key.
 * Adding the inner round makes the outer bijection a random-looking function: words of one stream repeat as chance has it.
 */
export function wordAt(hi: number, lo: number, counter: number): number {
  const inner = mix32((Math.imul(counter, GOLDEN) + lo) | 0);
  return (mix32(inner ^ hi) + inner) | 0;
}

/** As `wordAt`, in lane number `lane` of the stream: further words for the same counter, for draws that need more than one. */
export function laneAt(hi: number, lo: number, counter: number, lane: number): number {
  return wordAt((hi + Math.imul(lane, LANE_HI)) | 0, (lo + Math.imul(lane, LANE_LO)) | 0, counter);
}

/** A number in [0, 1) with 53 random bits, from lanes `lane` and `lane + 1`. */
export function unitAt(hi: number, lo: number, counter: number, lane: number): number {
  const high = laneAt(hi, lo, counter, lane) >>> 5; // 27 bits
  const low = laneAt(hi, lo, counter, lane + 1) >>> 6; // 26 bits
  return (high * 2 ** 26 + low) * 2 ** -53;
}
