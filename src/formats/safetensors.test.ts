import { existsSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FormatError } from "../errors.ts";
import { asFloat32, asFloat64, asInt, type NamedArray, readSafetensors, type SafetensorsTensor, writeSafetensors } from "./safetensors.ts";

/** A file with this header text, unpadded, and this many bytes of data. */
function fileOf(header: string | Uint8Array, dataBytes = 0): Uint8Array {
  const json = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const file = new Uint8Array(8 + json.byteLength + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.byteLength), true);
  file.set(json, 8);
  return file;
}

function codeOf(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof FormatError) return error.code;
    throw error;
  }
  return "accepted";
}

const aShape = fc.array(fc.nat({ max: 4 }), { maxLength: 3 });
const aTensor: fc.Arbitrary<Omit<NamedArray, "name">> = aShape.chain((shape) => {
  const size = shape.reduce((product, length) => product * length, 1);
  const exactly = { minLength: size, maxLength: size };
  return fc.oneof(
    fc.float64Array(exactly).map((data) => ({ dtype: "F64" as const, shape, data })),
    fc.float32Array(exactly).map((data) => ({ dtype: "F32" as const, shape, data })),
    fc.bigInt64Array(exactly).map((data) => ({ dtype: "I64" as const, shape, data })),
    fc.int32Array(exactly).map((data) => ({ dtype: "I32" as const, shape, data })),
    fc.uint16Array(exactly).map((data) => ({ dtype: "BF16" as const, shape, data })),
    fc.uint8Array(exactly).map((data) => ({ dtype: "BOOL" as const, shape, data })),
  );
});
const aName = fc.oneof(fc.string({ unit: "grapheme" }), fc.constantFrom("__proto__", "0", "7", "constructor", "toString"));
const someTensors = fc
  .dictionary(aName, aTensor, { maxKeys: 6, noNullPrototype: true })
  .map((named) => Object.entries(named).map(([name, tensor]) => ({ name, ...tensor })));
const someMetadata = fc.dictionary(aName, fc.string(), { maxKeys: 4, noNullPrototype: true });

describe("writing and reading", () => {
  test("what was written is read: names, types, shapes, bytes, metadata", () => {
    fc.assert(
      fc.property(someTensors, someMetadata, (tensors, metadata) => {
        const file = readSafetensors(writeSafetensors(tensors, metadata));
        expect(Object.entries(file.metadata).sort()).toEqual(Object.entries(metadata).sort());
        expect([...file.tensors.keys()].sort()).toEqual(tensors.map(({ name }) => name).sort());
        for (const { name, dtype, shape, data } of tensors) {
          const read = file.tensors.get(name)!;
          expect(read).toMatchObject({ dtype, shape });
          expect(Buffer.compare(read.data, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))).toBe(0);
        }
      }),
    );
  });

  test("every tensor lies aligned, whatever the order it came in", () => {
    const bytes = writeSafetensors([
      { name: "mask", dtype: "BOOL", shape: [3], data: Uint8Array.of(1, 0, 1) },
      { name: "weight", dtype: "F64", shape: [2], data: Float64Array.of(1.5, -2) },
      { name: "bias", dtype: "F32", shape: [1], data: Float32Array.of(0.25) },
    ]);
    const { tensors } = readSafetensors(bytes);
    expect(asFloat64(tensors.get("weight")!).buffer).toBe(bytes.buffer); // a view, which alignment alone allows
    expect(asFloat32(tensors.get("bias")!).buffer).toBe(bytes.buffer);
    expect([...asInt(tensors.get("mask")!)]).toEqual([1, 0, 1]);
    expect(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8).toBe(0);
  });

  test("the same tensors give the same bytes, and __metadata__ comes first", () => {
    const write = () => writeSafetensors([{ name: "0", dtype: "U8", shape: [1], data: Uint8Array.of(7) }], { b: "1", a: "2" });
    expect(write()).toEqual(write());
    expect(new TextDecoder().decode(write().subarray(8, 43))).toBe('{"__metadata__":{"b":"1","a":"2"},"');
  });

  test("a file at an odd address is read the same", () => {
    const file = writeSafetensors([{ name: "w", dtype: "F64", shape: [2], data: Float64Array.of(3, 4) }]);
    const shifted = new Uint8Array(file.byteLength + 3);
    shifted.set(file, 3);
    expect([...asFloat64(readSafetensors(shifted.subarray(3)).tensors.get("w")!)]).toEqual([3, 4]);
  });

  test.each<[string, NamedArray[]]>([
    ["duplicateKey", [tensor("w"), tensor("w")]],
    ["reservedName", [tensor("__metadata__")]],
    ["tensorLength", [{ ...tensor("w"), shape: [3] }]],
    ["dataType", [{ ...tensor("w"), dtype: "I32" }]],
    ["shape", [{ ...tensor("w"), shape: [2 ** 30, 2 ** 30] }]],
  ])("writing refuses: %s", (code, tensors) => {
    expect(codeOf(() => writeSafetensors(tensors))).toBe(code);
  });
});

function tensor(name: string): NamedArray {
  return { name, dtype: "F32", shape: [2], data: Float32Array.of(1, 2) };
}

describe("a file is refused", () => {
  const w = (offsets: string, shape = "[1]", dtype = '"U8"') => `"w":{"dtype":${dtype},"shape":${shape},"data_offsets":${offsets}}`;

  test.each<[string, Uint8Array, string]>([
    ["empty", new Uint8Array(0), "tooShort"],
    ["seven bytes", new Uint8Array(7), "tooShort"],
    ["a header length of 0", new Uint8Array(16), "headerLength"],
    ["a header longer than the file", fileOf("{}").subarray(0, 9), "headerLength"],
    ["a header length of 2^64 - 1", new Uint8Array(16).fill(255), "headerLength"],
    ["invalid UTF-8", fileOf(Uint8Array.of(0x7b, 0xff, 0x7d)), "notUtf8"],
    ["not JSON", fileOf('{"w":}'), "notJson"],
    ["a byte order mark", fileOf(Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b, 0x7d)), "notJson"],
    ["an array as header", fileOf("[]"), "headerNotObject"],
    ["a tensor given twice", fileOf(`{${w("[0,1]")},${w("[0,1]")}}`, 1), "duplicateKey"],
    ["a tensor given twice, once in disguise", fileOf(`{${w("[0,1]")},${w("[0,1]").replace("w", "\\u0077")}}`, 1), "duplicateKey"],
    ["a key twice inside an entry", fileOf('{"w":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1), "duplicateKey"],
    ["metadata that are no strings", fileOf('{"__metadata__":{"step":1}}'), "metadata"],
    ["metadata that are no object", fileOf('{"__metadata__":"x"}'), "metadata"],
    ["an entry that is no object", fileOf('{"w":3}'), "entry"],
    ["an unknown key in an entry", fileOf('{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"strides":[1]}}', 1), "entry"],
    ["an unknown dtype", fileOf(`{${w("[0,1]", "[1]", '"toString"')}}`, 1), "dtype"],
    ["a negative size", fileOf(`{${w("[0,1]", "[-1]")}}`, 1), "shape"],
    ["a fractional size", fileOf(`{${w("[0,1]", "[1.5]")}}`, 1), "shape"],
    ["a shape whose product overflows", fileOf(`{${w("[0,1]", "[4294967296,4294967296]")}}`, 1), "shape"],
    ["a shape that does not fill its offsets", fileOf(`{${w("[0,2]")}}`, 2), "tensorLength"],
    ["offsets backwards", fileOf(`{${w("[1,0]")}}`, 1), "tensorLength"],
    ["an offset above 2^53", fileOf(`{${w("[9007199254740992,9007199254740993]")}}`, 1), "offsets"],
    ["a fractional offset", fileOf(`{${w("[0.5,1.5]")}}`, 1), "offsets"],
    ["three offsets", fileOf(`{${w("[0,1,2]")}}`, 1), "offsets"],
    ["a hole at the start", fileOf(`{${w("[1,2]")}}`, 2), "offsets"],
    ["an overlap", fileOf(`{${w("[0,2]", "[2]")},${w("[1,3]", "[2]").replace("w", "v")}}`, 3), "offsets"],
    ["a tail behind the last tensor", fileOf(`{${w("[0,1]")}}`, 2), "dataLength"],
    ["a truncated end", fileOf(`{${w("[0,2]", "[2]")}}`, 1), "dataLength"],
  ])("%s", (_, file, code) => {
    expect(codeOf(() => readSafetensors(file))).toBe(code);
  });

  test("tensors out of order in the header are fine, as in the reference implementation", () => {
    const file = readSafetensors(fileOf(`{${w("[1,2]")},${w("[0,1]").replace("w", "v")}}`, 2));
    expect([...file.tensors.keys()]).toEqual(["v", "w"]);
  });

  test('"__proto__" is a name like any other', () => {
    const { tensors, metadata } = readSafetensors(fileOf(`{"__metadata__":{"__proto__":"x"},${w("[0,1]").replace("w", "__proto__")}}`, 1));
    expect([...tensors.keys()]).toEqual(["__proto__"]);
    expect(Object.getPrototypeOf(metadata)).toBe(Object.prototype);
    expect(({} as Record<string, unknown>).dtype).toBeUndefined();
  });

  test("whatever bytes are changed, cut or added, reading succeeds or throws a FormatError", () => {
    const file = writeSafetensors([tensor("a"), { name: "b.weight", dtype: "F64", shape: [1, 2], data: Float64Array.of(1, 2) }], {
      format: "x",
    });
    const headerBytes = 8 + Number(new DataView(file.buffer).getBigUint64(0, true));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: headerBytes - 1 }), fc.nat({ max: 255 })), { maxLength: 4 }),
        fc.nat({ max: file.byteLength }),
        (changes, length) => {
          const mutated = file.slice(0, length);
          for (const [at, byte] of changes) if (at < length) mutated[at] = byte;
          codeOf(() => readSafetensors(mutated)); // rethrows any other kind
        },
      ),
      { numRuns: 3000 },
    );
  });
});

describe("conversions", () => {
  const bits = (dtype: "F16" | "BF16", ...values: number[]): SafetensorsTensor => ({
    dtype,
    shape: [values.length],
    data: new Uint8Array(Uint16Array.from(values).buffer),
  });

  // numpy: np.array([0x3c00, ...], np.uint16).view(np.float16)
  test("float16: one, -2, the largest, the smallest subnormal, infinity, NaN, -0", () => {
    expect([...asFloat64(bits("F16", 0x3c00, 0xc000, 0x7bff, 0x0001, 0x7c00, 0x7e00, 0x8000))]).toEqual([
      1,
      -2,
      65504,
      2 ** -24,
      Infinity,
      NaN,
      -0,
    ]);
  });

  test("bfloat16: one, -2, 3.140625, infinity, NaN", () => {
    expect([...asFloat32(bits("BF16", 0x3f80, 0xc000, 0x4049, 0x7f80, 0x7fc0))]).toEqual([1, -2, 3.140625, Infinity, NaN]);
  });

  test("64-bit integers are refused where 32 bits cannot hold them", () => {
    const int64 = (value: bigint): SafetensorsTensor => ({
      dtype: "I64",
      shape: [1],
      data: new Uint8Array(BigInt64Array.of(value).buffer),
    });
    expect([...asInt(int64(-2147483648n))]).toEqual([-2147483648]);
    expect(codeOf(() => asInt(int64(2147483648n)))).toBe("intRange");
    expect(codeOf(() => asFloat32(int64(1n)))).toBe("dtype");
    expect(codeOf(() => asInt(bits("F16", 0)))).toBe("dtype");
  });
});

const golden = `${process.env.DBLOCKS_GOLDEN ?? "../shared/golden"}/vit_dblock.safetensors`;
test.skipIf(!existsSync(golden))("a file written by the reference implementation is read", () => {
  const { metadata, tensors } = readSafetensors(readFileSync(golden));
  expect(JSON.parse(metadata.config!)).toMatchObject({ width: 24, layers: 6 });
  expect(tensors.get("param.pos")).toMatchObject({ dtype: "F64", shape: [1, 17, 24] });
  expect(asFloat64(tensors.get("param.pos")!).every(Number.isFinite)).toBe(true);
});
