/**
 * The standard normal distribution function and its inverse in float64, with full relative accuracy in the lower tail.
 * For the upper tail use the symmetry: 1 - normalCdf(x) = normalCdf(-x), which loses no digits.
 */

const INVERSE_SQRT_2PI = 0.3989422804014327;

/** A rational function: coefficients of numerator and denominator, highest power first. */
type Rational = readonly [numerator: readonly number[], denominator: readonly number[]];

function horner(coefficients: readonly number[], x: number): number {
  let sum = 0;
  for (const coefficient of coefficients) sum = sum * x + coefficient;
  return sum;
}

function ratio([numerator, denominator]: Rational, x: number): number {
  return horner(numerator, x) / horner(denominator, x);
}

/** Cody: (Phi(x) - 1/2) / x in x^2, for |x| <= 0.67. */
const CDF_CENTRE: Rational = [
  [0.06568233791820745, 2.2352520354606837, 161.02823106855587, 1067.689485460371, 18154.98125334356],
  [1, 47.202581904688245, 976.0985517377767, 10260.932208618979, 45507.78933502673],
];
/** Cody: Phi(-x) exp(x^2 / 2) in x, for 0.67 < x <= sqrt(32). */
const CDF_SIDE: Rational = [
  [
    1.0765576773720192e-8, 0.39894151208813466, 8.883149794388375, 93.50665613217785, 597.2702763948002, 2494.5375852903726,
    6848.190450536283, 11602.65143764735, 9842.714838383978,
  ],
  [
    1, 22.266688044328117, 235.387901782625, 1519.3775994075547, 6485.558298266761, 18615.571640885097, 34900.95272114598,
    38912.00328609327, 19685.429676859992,
  ],
];
/** Cody: (1 / sqrt(2 pi) - x Phi(-x) exp(x^2 / 2)) x^2 in 1 / x^2, for x > sqrt(32). */
const CDF_TAIL: Rational = [
  [0.023073441764940174, 0.215898534057957, 0.12740116116024736, 0.022235277870649807, 0.0014216191932278936, 2.9112874951168793e-5],
  [1, 1.284260096144911, 0.4682382124808651, 0.06598813786892856, 0.0037823963320275824, 7.297515550839662e-5],
];

/**
 * Phi(x), the probability that a standard normal variable is at most x. Relative error below 1e-14 down to x = -37.5,
 * where the result leaves the range of float64.
 * @see W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969), 631-637;
 * in the form for Phi: Algorithm 715, ACM TOMS 19 (1993), 22-32.
 */
export function normalCdf(x: number): number {
  const size = Math.abs(x);
  if (size <= 0.67448975) return 0.5 + x * ratio(CDF_CENTRE, x * x);
  const outside = gaussian(size) * (size <= Math.sqrt(32) ? ratio(CDF_SIDE, size) : tailRatio(size));
  return x < 0 ? outside : 1 - outside;
}

function tailRatio(x: number): number {
  const inverseSquare = 1 / (x * x);
  return (INVERSE_SQRT_2PI - inverseSquare * ratio(CDF_TAIL, inverseSquare)) / x;
}

/** exp(-x^2 / 2) without the rounding error of a large x^2: x is split into sixteenths, whose square is exact, and a rest. */
function gaussian(x: number): number {
  const coarse = Math.trunc(x * 16) / 16;
  return Math.exp((-coarse * coarse) / 2) * Math.exp((-(x - coarse) * (x + coarse)) / 2);
}

/** Wichura: Phi^-1(p) / (p - 1/2) in 0.425^2 - (p - 1/2)^2, for |p - 1/2| <= 0.425. */
const QUANTILE_CENTRE: Rational = [
  [
    2509.0809287301227, 33430.57558358813, 67265.7709270087, 45921.95393154987, 13731.69376550946, 1971.5909503065513, 133.14166789178438,
    3.3871328727963665,
  ],
  [
    5226.495278852854, 28729.085735721943, 39307.89580009271, 21213.794301586597, 5394.196021424751, 687.1870074920579, 42.31333070160091,
    1,
  ],
];
/** Wichura: -Phi^-1(p) in sqrt(-ln p) - 1.6, for sqrt(-ln p) <= 5. */
const QUANTILE_SIDE: Rational = [
  [
    0.0007745450142783414, 0.022723844989269184, 0.2417807251774506, 1.2704582524523684, 3.6478483247632045, 5.769497221460691,
    4.630337846156546, 1.4234371107496837,
  ],
  [
    1.0507500716444169e-9, 0.0005475938084995344, 0.015198666563616457, 0.14810397642748008, 0.6897673349851, 1.6763848301838038,
    2.053191626637759, 1,
  ],
];
/** Wichura: -Phi^-1(p) in sqrt(-ln p) - 5, for sqrt(-ln p) > 5. */
const QUANTILE_TAIL: Rational = [
  [
    2.0103343992922881e-7, 2.7115555687434876e-5, 0.0012426609473880784, 0.026532189526576124, 0.29656057182850487, 1.7848265399172913,
    5.463784911164114, 6.657904643501104,
  ],
  [
    2.0442631033899397e-15, 1.421511758316446e-7, 1.8463183175100548e-5, 0.0007868691311456133, 0.014875361290850615, 0.1369298809227358,
    0.599832206555888, 1,
  ],
];

/**
 * Phi^-1(p), the inverse of `normalCdf`: -Infinity at 0, Infinity at 1, NaN outside [0, 1]. Relative error about 1e-15 in p <= 1/2.
 * @see M. J. Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Appl. Statist. 37 (1988), 477-484 (PPND16).
 */
export function normalQuantile(p: number): number {
  const centred = p - 0.5;
  if (Math.abs(centred) <= 0.425) return centred * ratio(QUANTILE_CENTRE, 0.425 * 0.425 - centred * centred);
  const outside = Math.min(p, 1 - p);
  if (outside === 0) return p === 0 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  const root = Math.sqrt(-Math.log(outside));
  const size = root <= 5 ? ratio(QUANTILE_SIDE, root - 1.6) : ratio(QUANTILE_TAIL, root - 5);
  return centred < 0 ? -size : size;
}

/** Phi(b) - Phi(a) for a <= b, from the tail in which the difference keeps its digits. */
export function normalMass(a: number, b: number): number {
  return a > 0 ? normalCdf(-a) - normalCdf(-b) : normalCdf(b) - normalCdf(a);
}

/**
 * The x in [a, b] with Phi(x) = Phi(a) + share (Phi(b) - Phi(a)): the quantile function of the normal distribution truncated to [a, b].
 * Above the median the complement 1 - Phi(x) is the number held, so an upper tail is as exact as a lower one.
 */
export function truncatedQuantile(a: number, b: number, share: number): number {
  const mass = normalMass(a, b);
  const below = normalCdf(a) + share * mass;
  const x = below <= 0.5 ? normalQuantile(below) : -normalQuantile(normalCdf(-b) + (1 - share) * mass);
  return Math.min(Math.max(x, a), b);
}
