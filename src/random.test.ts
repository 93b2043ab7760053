import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { UsageError } from "./errors.ts";
import { mix32, wordAt } from "./random/counter.ts";
import {
  bernoulli,
  bits,
  fold,
  integer,
  type Key,
  key,
  normal,
  permutation,
  split,
  splitN,
  truncatedNormal,
  uniform,
  uniformAt,
} from "./random.ts";

const COUNT = 400_000;
const anyKey: fc.Arbitrary<Key> = fc.oneof(fc.maxSafeInteger(), fc.string()).map(key);

/** Mean of f over the values; its standard error is at most sqrt(E f^2 / n). */
function meanOf(values: ArrayLike<number>, f: (value: number, index: number) => number): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += f(values[i]!, i);
  return sum / values.length;
}

function draw(of: Key, count = COUNT): Float32Array {
  const out = new Float32Array(count);
  normal(of, out);
  return out;
}

/** (chi^2 - degrees) / sqrt(2 degrees): a standard normal deviate, nearly, when the cells are equally likely. */
function chiSquareScore(cells: Uint32Array): number {
  const total = cells.reduce((sum, count) => sum + count, 0);
  const expected = total / cells.length;
  const degrees = cells.length - 1;
  return (cells.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0) - degrees) / Math.sqrt(2 * degrees);
}

describe("golden values: the same numbers on every platform", () => {
  test("keys", () => {
    expect(key(0)).toMatchInlineSnapshot(`
      {
        "hi": 1041532257,
        "lo": 3218638738,
      }
    `);
    expect(key(-1)).toMatchInlineSnapshot(`
      {
        "hi": 471656811,
        "lo": 3791628348,
      }
    `);
    expect(key(2 ** 53 - 1)).toMatchInlineSnapshot(`
      {
        "hi": 2554953690,
        "lo": 84271357,
      }
    `);
    expect(key("noise")).toMatchInlineSnapshot(`
      {
        "hi": 2686459571,
        "lo": 726789890,
      }
    `);
    expect(fold(key(0), "train")).toMatchInlineSnapshot(`
      {
        "hi": 2027277620,
        "lo": 3862945662,
      }
    `);
    expect(split(key(0))).toMatchInlineSnapshot(`
      [
        {
          "hi": 3321884447,
          "lo": 2215568247,
        },
        {
          "hi": 178341287,
          "lo": 2145898464,
        },
      ]
    `);
  });

  test("draws", () => {
    const words = new Uint32Array(4);
    bits(key(0), words);
    expect([...words]).toMatchInlineSnapshot(`
      [
        2697955014,
        100712143,
        702499668,
        172258151,
      ]
    `);
    const doubles = new Float64Array(3);
    uniform(key(0), doubles);
    expect([...doubles]).toMatchInlineSnapshot(`
      [
        0.6281666015246241,
        0.023448871566172036,
        0.1635634495815219,
      ]
    `);
    const mask = new Uint8Array(12);
    bernoulli(key(0), mask, 0.5);
    expect(mask.join("")).toMatchInlineSnapshot(`"000111111010"`);
    expect([...draw(key(0), 4)]).toMatchInlineSnapshot(`
      [
        -0.7812931537628174,
        0.04590137302875519,
        0.606497585773468,
        0.13715702295303345,
      ]
    `);
    expect([...permutation(key(0), 8)]).toMatchInlineSnapshot(`
      [
        6,
        5,
        3,
        0,
        2,
        4,
        1,
        7,
      ]
    `);
    expect(integer(key(0), 1000)).toMatchInlineSnapshot(`628`);
  });

  test("a fingerprint of a million normal deviates, rare paths included", () => {
    const words = new Uint32Array(draw(key("fingerprint"), 1_000_000).buffer);
    expect(words.reduce((hash, word) => mix32(hash ^ word), 0)).toMatchInlineSnapshot(`590651109`);
  });
});

describe("a number is a function of (key, index)", () => {
  test("a longer array starts with the shorter one", () => {
    fc.assert(
      fc.property(anyKey, fc.nat(40), fc.nat(40), (k, short, more) => {
        expect(draw(k, short + more).subarray(0, short)).toEqual(draw(k, short));
        const [a, b] = [new Uint8Array(short), new Uint8Array(short + more)];
        bernoulli(k, a, 0.4);
        bernoulli(k, b, 0.4);
        expect(b.subarray(0, short)).toEqual(a);
      }),
    );
  });

  test("bits from an offset are the words at those indices", () => {
    fc.assert(
      fc.property(anyKey, fc.nat(1000), (k, offset) => {
        const whole = new Uint32Array(1016);
        const part = new Uint32Array(16);
        bits(k, whole);
        bits(k, part, offset);
        expect(part).toEqual(whole.subarray(offset, offset + 16));
      }),
    );
  });

  test("uniform on doubles is uniformAt, and on floats the same number with fewer bits", () => {
    const doubles = new Float64Array(100);
    const floats = new Float32Array(100);
    uniform(key(3), doubles);
    uniform(key(3), floats);
    expect([...doubles]).toEqual(Array.from({ length: 100 }, (_, i) => uniformAt(key(3), i)));
    expect(Math.max(...doubles.map((u, i) => Math.abs(u - floats[i]!)))).toBeLessThan(2 ** -24);
  });
});

describe("keys", () => {
  test("different seeds and names make different keys", () => {
    const seeds = [0, 1, -1, 2 ** 32, 2 ** 32 + 1, -(2 ** 32), Number.MAX_SAFE_INTEGER, "", "0", "1", "ab", "ba", "\0", "\0\0"];
    const keys = [...seeds.map(key), fold(key("a"), "b"), ...splitN(key(0), 3), fold(key(0), 0), fold(key(0), 1), fold(key(0), "0")];
    expect(new Set(keys.map(({ hi, lo }) => `${hi},${lo}`)).size).toBe(keys.length);
    for (const { hi, lo } of keys) expect([hi, lo]).toEqual([hi >>> 0, lo >>> 0]);
  });

  test("minus zero is zero, and split is the start of splitN", () => {
    expect(key(-0)).toEqual(key(0));
    expect(splitN(key(5), 4).slice(0, 2)).toEqual(split(key(5)));
  });

  test.each([0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])("the seed %s is refused", (seed) => {
    expect(() => key(seed)).toThrow(UsageError);
  });

  test("100 000 children of a key are different, in each half as often as chance allows", () => {
    const children = Array.from({ length: 100_000 }, (_, i) => fold(key(7), i));
    expect(new Set(children.map(({ hi, lo }) => hi * 2 ** 21 + (lo & 0x1fffff))).size).toBe(children.length);
    // Expected number of equal pairs in 32 bits: 1e10 / 2 / 2^32 = 1.16.
    for (const half of ["hi", "lo"] as const)
      expect(new Set(children.map((child) => child[half])).size).toBeGreaterThan(children.length - 9);
  });
});

describe("quality", () => {
  test("flipping any bit of key or counter flips every output bit half of the time", () => {
    const trials = 2000;
    const sample = new Uint32Array(3 * trials);
    bits(key("avalanche"), sample);
    let worst = 0;
    for (let input = 0; input < 96; input++) {
      const flips = new Uint32Array(32);
      for (let trial = 0; trial < trials; trial++) {
        const words: [number, number, number] = [sample[3 * trial]!, sample[3 * trial + 1]!, trial]; // counters are small
        const before = wordAt(...words);
        words[input >> 5]! ^= 1 << (input & 31);
        const changed = before ^ wordAt(...words);
        for (let output = 0; output < 32; output++) flips[output]! += (changed >>> output) & 1;
      }
      for (const count of flips) worst = Math.max(worst, Math.abs(count - trials / 2) / Math.sqrt(trials / 4));
    }
    expect(worst).toBeLessThan(5.5); // of 3072 standard normal deviates
  });

  test("bytes, and pairs of neighbouring bytes, are uniform", () => {
    const words = new Uint32Array(1 << 20);
    bits(key("bytes"), words);
    for (let shift = 0; shift < 32; shift += 8) {
      const single = new Uint32Array(256);
      const pairs = new Uint32Array(65536);
      for (let i = 0; i < words.length; i++) {
        const byte = (words[i]! >>> shift) & 255;
        single[byte]!++;
        if (i > 0) pairs[((words[i - 1]! >>> shift) & 255) * 256 + byte]!++;
      }
      expect(Math.abs(chiSquareScore(single))).toBeLessThan(4.5);
      expect(Math.abs(chiSquareScore(pairs))).toBeLessThan(4.5);
    }
  });

  test("words repeat within a stream as often as chance has it", () => {
    const words = new Uint32Array(1 << 20);
    bits(key("birthday"), words);
    const repeats = words.length - new Set(words).size;
    expect(Math.abs(repeats - 128)).toBeLessThan(5 * Math.sqrt(128)); // 2^40 / 2 / 2^32 pairs; a bijection would have none
  });

  test("normal: four moments, for several keys", () => {
    for (const seed of [0, 1, -1, "a"]) {
      const x = draw(key(seed));
      const error = (variance: number) => 5 * Math.sqrt(variance / COUNT);
      expect(Math.abs(meanOf(x, (v) => v))).toBeLessThan(error(1));
      expect(Math.abs(meanOf(x, (v) => v ** 2) - 1)).toBeLessThan(error(2));
      expect(Math.abs(meanOf(x, (v) => v ** 3))).toBeLessThan(error(15));
      expect(Math.abs(meanOf(x, (v) => v ** 4) - 3)).toBeLessThan(error(96));
    }
  });

  // scipy: norm.cdf(edges); the last edges lie in the ziggurat's tail, beyond 3.654.
  test("normal: the shares below given values, into the tails", () => {
    const shares: [number, number][] = [
      [-4, 3.167124183311986e-5],
      [-3, 1.3498980316300933e-3],
      [-1, 0.15865525393145707],
      [-0.1, 0.460172162722971],
      [0, 0.5],
      [0.21, 0.5831661634824423],
      [1.5, 0.9331927987311419],
      [3.7, 0.9998922002665226],
      [4, 0.9999683287581669],
    ];
    const x = draw(key("shares"), 2_000_000);
    for (const [value, share] of shares) {
      const found = meanOf(x, (v) => (v < value ? 1 : 0));
      expect(Math.abs(found - share)).toBeLessThan(5 * Math.sqrt((share * (1 - share)) / x.length));
    }
  });

  test("normal: neighbours, and streams of neighbouring keys, are uncorrelated in value and in square", () => {
    const parent = key("correlation");
    for (const [a, b] of [
      [fold(parent, 0), fold(parent, 1)],
      [fold(parent, 1), fold(parent, 2)],
      [parent, fold(parent, 0)],
      split(parent),
      [parent, { hi: parent.hi, lo: (parent.lo + 1) >>> 0 }],
      [parent, { hi: parent.hi ^ 1, lo: parent.lo }],
    ] as const) {
      const [x, y] = [draw(a), draw(b)];
      for (const lag of [0, 1, 2]) {
        const pair = (f: (v: number) => number) => meanOf(x.subarray(lag), (v, i) => f(v) * f(y[i]!));
        expect(Math.abs(pair((v) => v))).toBeLessThan(5 / Math.sqrt(COUNT));
        expect(Math.abs(pair((v) => (v * v - 1) / 2))).toBeLessThan(2.5 / Math.sqrt(COUNT));
      }
      for (const lag of [1, 2, 3, 64]) {
        expect(Math.abs(meanOf(x.subarray(lag), (v, i) => v * x[i]!))).toBeLessThan(5 / Math.sqrt(COUNT));
      }
    }
  });

  test("the first words of consecutive children are uniform and uncorrelated", () => {
    const first = new Float32Array(200_000);
    for (let i = 0; i < first.length; i++) first[i] = uniformAt(fold(key("children"), i), 0) - 0.5;
    expect(Math.abs(meanOf(first, (u) => u))).toBeLessThan(5 * Math.sqrt(1 / 12 / first.length));
    expect(Math.abs(meanOf(first.subarray(1), (u, i) => u * first[i]!))).toBeLessThan(5 / 12 / Math.sqrt(first.length));
  });
});

describe("truncatedNormal", () => {
  // scipy: truncnorm(-bound, bound).var(), .moment(4)
  test.each([
    [2, 0.7737413035499232, 1.4161891248494625],
    [1, 0.291125094772793, 0.1645003790911721],
    [0.5, 0.08058915460081173, 0.011914752452638122],
  ])("bound %d: within the bound, with the right second and fourth moments", (bound, variance, fourth) => {
    const x = new Float32Array(COUNT);
    truncatedNormal(key(bound === 2 ? 11 : 12), x, bound);
    expect(x.every((v) => Math.abs(v) <= bound)).toBe(true);
    expect(Math.abs(meanOf(x, (v) => v))).toBeLessThan(5 * Math.sqrt(variance / COUNT));
    expect(Math.abs(meanOf(x, (v) => v * v) - variance)).toBeLessThan(5 * Math.sqrt((fourth - variance ** 2) / COUNT));
    expect(Math.abs(meanOf(x, (v) => v ** 4) / fourth - 1)).toBeLessThan(0.01);
  });

  test("keeps the normal deviates that lie within the bound", () => {
    const [x, cut] = [draw(key(13), 1000), new Float32Array(1000)];
    truncatedNormal(key(13), cut);
    expect(cut.every((v, i) => Math.abs(x[i]!) > 2 || v === x[i])).toBe(true);
  });

  test.each([0, -1, Number.NaN])("bound %d is refused", (bound) => {
    expect(() => truncatedNormal(key(0), new Float32Array(1), bound)).toThrow(UsageError);
  });
});

describe("bernoulli", () => {
  test.each([0.1, 0.5, 0.9, 0.999])("keep %d: the share of ones, and no correlation between neighbours", (keep) => {
    const mask = new Uint8Array(COUNT + 1);
    bernoulli(key(21), mask, keep);
    const variance = keep * (1 - keep);
    expect(Math.abs(meanOf(mask, (m) => m) - keep)).toBeLessThan(5 * Math.sqrt(variance / COUNT));
    expect(Math.abs(meanOf(mask.subarray(1), (m, i) => (m - keep) * (mask[i]! - keep)))).toBeLessThan((5 * variance) / Math.sqrt(COUNT));
  });

  test("0 and 1 are exact; anything outside is refused", () => {
    const mask = new Uint8Array(1001);
    bernoulli(key(22), mask, 1);
    expect(mask.every((m) => m === 1)).toBe(true);
    bernoulli(key(22), mask, 0);
    expect(mask.every((m) => m === 0)).toBe(true);
    for (const keep of [-0.1, 1.1, Number.NaN]) expect(() => bernoulli(key(22), mask, keep)).toThrow(UsageError);
  });
});

describe("permutation and integer", () => {
  test("a permutation holds every index once", () => {
    fc.assert(
      fc.property(anyKey, fc.nat(200), (k, n) => {
        expect([...permutation(k, n)].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
      }),
    );
  });

  test("all 24 orders of four are equally likely, and so are the values of integer", () => {
    const orders = new Map<string, number>();
    const values = new Uint32Array(10);
    for (let i = 0; i < 24_000; i++) {
      const order = permutation(fold(key("orders"), i), 4).join("");
      orders.set(order, (orders.get(order) ?? 0) + 1);
      values[integer(fold(key("values"), i), 10)]!++;
    }
    expect(orders.size).toBe(24);
    expect(Math.abs(chiSquareScore(Uint32Array.from(orders.values())))).toBeLessThan(4.5);
    expect(Math.abs(chiSquareScore(values))).toBeLessThan(4.5);
  });

  test.each([0, -1, 1.5, 2 ** 33])("integer below %d is refused", (bound) => {
    expect(() => integer(key(0), bound)).toThrow(UsageError);
  });
});
