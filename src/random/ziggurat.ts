/**
 * Normal deviates by the ziggurat method with 256 layers of equal area.
 *
 * Engines may differ in the last bits of Math.exp and Math.log, and a rejection that went the other way would be another
 * number. So tables and rejections use `exp` and `log` of this file, which are made of + - * / alone.
 *
 * @see G. Marsaglia, W. W. Tsang, "The ziggurat method for generating random variables" (2000). Unlike there, layer and
 * abscissa use different bits of the word (J. A. Doornik, "An improved ziggurat method", 2005).
 */
import { laneAt, unitAt, wordAt } from "./counter.ts";

const LAYERS = 256;
/** Where the base layer ends and the tail begins; the area of each layer under exp(-x^2 / 2), x > 0. */
const TAIL = 3.654152885361009;
const AREA = 0.004928673233974655;
/** The abscissa is a whole number of 23 bits with a sign, shifted by one half to be symmetric about zero. */
const ABSCISSA = 2 ** 23;

/** Layer i is [0, edge[i]] x [height[i], height[i + 1]]; the base is as wide as if the tail's area were part of its rectangle. */
const edge = new Float64Array(LAYERS + 1);
const height = new Float64Array(LAYERS + 1);
/** value = abscissa * scale[layer]; below accept[layer] the point lies under the curve for certain. */
const scale = new Float64Array(LAYERS);
const accept = new Int32Array(LAYERS);

edge[0] = AREA / exp((-TAIL * TAIL) / 2);
edge[1] = TAIL;
height[1] = exp((-TAIL * TAIL) / 2);
for (let layer = 1; layer < LAYERS; layer++) {
  const next = height[layer]! + AREA / edge[layer]!;
  const last = layer === LAYERS - 1; // here `next` is 1 up to rounding
  height[layer + 1] = last ? 1 : next;
  edge[layer + 1] = last ? 0 : Math.sqrt(-2 * log(next));
}
for (let layer = 0; layer < LAYERS; layer++) {
  scale[layer] = edge[layer]! / ABSCISSA;
  accept[layer] = Math.floor((edge[layer + 1]! / edge[layer]!) * ABSCISSA);
}

/** N(0, 1) as a function of stream and counter. 98.5 % of the values take one word; the others take further lanes of the same counter. */
export function normalAt(hi: number, lo: number, counter: number): number {
  const word = wordAt(hi, lo, counter);
  const layer = word & (LAYERS - 1);
  const abscissa = word >> 8;
  const magnitude = abscissa ^ (abscissa >> 31); // abscissa + 1/2 = +-(magnitude + 1/2)
  return magnitude < accept[layer]! ? (abscissa + 0.5) * scale[layer]! : resolve(hi, lo, counter, word);
}

/** The rare rest: a point in the tail, in the wedge between rectangle and curve, or a fresh try from the next lanes. */
function resolve(hi: number, lo: number, counter: number, firstWord: number): number {
  let word = firstWord;
  for (let lane = 1; ; lane += 2) {
    const layer = word & (LAYERS - 1);
    const x = ((word >> 8) + 0.5) * scale[layer]!;
    if (Math.abs(x) < edge[layer + 1]!) return x;
    if (layer === 0) return tail(hi, lo, counter, lane, x < 0);
    const share = (laneAt(hi, lo, counter, lane) >>> 0) * 2 ** -32;
    if (height[layer]! + share * (height[layer + 1]! - height[layer]!) < exp((-x * x) / 2)) return x;
    word = laneAt(hi, lo, counter, lane + 1);
  }
}

/** |x| > TAIL, by exponential proposals (Marsaglia 1964). 1 - u keeps the logarithm finite. */
function tail(hi: number, lo: number, counter: number, firstLane: number, negative: boolean): number {
  for (let lane = firstLane; ; lane += 4) {
    const beyond = -log(1 - unitAt(hi, lo, counter, lane)) / TAIL;
    if (-2 * log(1 - unitAt(hi, lo, counter, lane + 2)) > beyond * beyond) return negative ? -TAIL - beyond : TAIL + beyond;
  }
}

/** e^x for -16 <= x <= 0, relative error below 1e-11: the Taylor series at t = x / 256, squared eight times. */
export function exp(x: number): number {
  const t = x * 2 ** -8;
  let power = 1 + t * (1 + t * (1 / 2 + t * (1 / 6 + t * (1 / 24 + t * (1 / 120 + t * (1 / 720 + t * (1 / 5040)))))));
  for (let squaring = 0; squaring < 8; squaring++) power *= power;
  return power;
}

/** Natural logarithm of 0 < x <= 1, relative error below 1e-13: x = m 2^-e with m in (2/3, 4/3], ln m = 2 atanh((m - 1) / (m + 1)). */
function log(x: number): number {
  let mantissa = x;
  let exponent = 0;
  for (; mantissa <= 2 / 3; exponent++) mantissa *= 2;
  const ratio = (mantissa - 1) / (mantissa + 1); // |ratio| <= 1/5
  const square = ratio * ratio;
  let sum = 0;
  for (let power = 23; power >= 1; power -= 2) sum = 1 / power + square * sum;
  return 2 * ratio * sum - exponent * Math.LN2;
}
