import fc from "fast-check";

// Mutations of files, as fast-check arbitraries: bits, bytes, cuts, insertions, and the numbers of headers and of JSON to their extremes.

const place = fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 0.1, noNaN: true }));
const extremes = [
  0n,
  1n,
  2n,
  127n,
  128n,
  255n,
  256n,
  32767n,
  65535n,
  2n ** 24n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];
const words = [
  ...["-1", "0", "1", "1e308", "-1e308", "1e-320", "0.5", "2147483648", "4294967296", "9007199254740993", "1e400", "NaN", "null", "true"],
  ...['""', '"x"', '"__proto__"', '"constructor"', '"\\ud800"', "{}", "[]", "[[]]", '{"a":1}', '{"__proto__":{"a":1}}', "[1,2,3]"],
];

const flip = fc.record({ kind: fc.constant("flip"), at: place, bit: fc.nat(7) });
const byte = fc.record({ kind: fc.constant("byte"), at: place, value: fc.constantFrom(0, 1, 2, 0x20, 0x30, 0x7f, 0x80, 0xfe, 0xff) });
const cut = fc.record({ kind: fc.constant("cut"), at: place });
const drop = fc.record({ kind: fc.constant("drop"), at: place, length: fc.integer({ min: 1, max: 64 }) });
const insert = fc.record({ kind: fc.constant("insert"), at: place, bytes: fc.uint8Array({ minLength: 1, maxLength: 24 }) });
const repeat = fc.record({
  kind: fc.constant("repeat"),
  at: place,
  length: fc.integer({ min: 1, max: 600 }),
  times: fc.integer({ min: 1, max: 20 }),
});
const splice = fc.record({ kind: fc.constant("splice"), at: place, from: place, length: fc.integer({ min: 1, max: 256 }) });
const number = fc.record({
  kind: fc.constant("number"),
  at: place,
  aligned: fc.boolean(),
  bytes: fc.constantFrom(1, 2, 4, 8),
  littleEndian: fc.boolean(),
  value: fc.oneof(fc.constantFrom(...extremes), fc.bigInt({ min: 0n, max: 2n ** 20n })),
});
const value = fc.record({ kind: fc.constant("value"), at: place, word: fc.constantFrom(...words) });
const nest = fc.record({
  kind: fc.constant("nest"),
  at: place,
  open: fc.constantFrom("[", '{"a":'),
  times: fc.constantFrom(10, 200, 20_000),
});

const ofBytes = [flip, byte, cut, drop, insert, repeat, splice, number];
const ofText = [...ofBytes, value, value, value, value, nest];

/** A few mutations, of which some are followed by a repair of the file's checksums, so that what lies behind them is reached. */
export function mutations(isText) {
  const step = fc.oneof(...(isText ? ofText : ofBytes));
  return fc.record({
    steps: fc.oneof(fc.tuple(step), fc.tuple(step), fc.array(step, { minLength: 1, maxLength: 5 })),
    seed: fc.nat(1000),
    other: fc.nat(1000),
    repair: fc.boolean(),
  });
}

/** The file that mutations make of `bytes`; `other` is one that parts are taken from. */
export function mutated(bytes, other, steps) {
  return steps.reduce((file, step) => apply(file, other, step), Buffer.from(bytes));
}

function apply(file, other, step) {
  if (file.length === 0) return step.kind === "insert" ? Buffer.from(step.bytes) : file;
  const at = Math.min(file.length - 1, Math.floor(step.at * file.length));
  const out = Buffer.from(file);
  switch (step.kind) {
    case "flip":
      out[at] ^= 1 << step.bit;
      return out;
    case "byte":
      out[at] = step.value;
      return out;
    case "cut":
      return out.subarray(0, at);
    case "drop":
      return Buffer.concat([out.subarray(0, at), out.subarray(at + step.length)]);
    case "insert":
      return Buffer.concat([out.subarray(0, at), step.bytes, out.subarray(at)]);
    case "repeat": {
      const part = out.subarray(at, at + step.length);
      return Buffer.concat([out.subarray(0, at), ...Array.from({ length: step.times }, () => part), out.subarray(at)]);
    }
    case "splice": {
      const from = Math.floor(step.from * other.length);
      const part = other.subarray(from, from + step.length);
      return Buffer.concat([out.subarray(0, at), part, out.subarray(at + part.length)]);
    }
    case "number": {
      const start = step.aligned ? at - (at % step.bytes) : at;
      for (let i = 0; i < step.bytes && start + i < out.length; i++) {
        const shift = BigInt(8 * (step.littleEndian ? i : step.bytes - 1 - i));
        out[start + i] = Number((step.value >> shift) & 0xffn);
      }
      return out;
    }
    case "value": {
      // A number, a string or a word of JSON behind this place.
      const text = out.toString("latin1");
      const pattern = /-?\d+(\.\d+)?([eE][-+]?\d+)?|"(\\.|[^"\\])*"|true|false|null/g;
      pattern.lastIndex = at;
      const found = pattern.exec(text);
      if (found === null) return out;
      const rest = text.slice(found.index + found[0].length);
      return Buffer.from(text.slice(0, found.index) + step.word + rest, "latin1");
    }
    case "nest": {
      const close = step.open === "[" ? "]" : "}";
      return Buffer.concat([out.subarray(0, at), Buffer.from(step.open.repeat(step.times) + close.repeat(step.times)), out.subarray(at)]);
    }
    default:
      throw new Error(`internal: ${step.kind}`);
  }
}
