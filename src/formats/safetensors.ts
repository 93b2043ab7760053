import { FormatError } from "../errors.ts";
import { bfloat16ToNumber, halfToNumber } from "./halfFloat.ts";
import { parseStrictJson } from "./strictJson.ts";

/**
 * The safetensors format: 8 bytes header length (little-endian), a JSON header { name: { dtype, shape, data_offsets } }, then
 * the numbers of all tensors, little-endian, one behind the other. Bytes in, bytes out: nothing here touches a disk.
 *
 * @see https://github.com/huggingface/safetensors#format
 */
export type SafetensorsDtype =
  | "BOOL"
  | "U8"
  | "I8"
  | "F8_E4M3"
  | "F8_E5M2"
  | "U16"
  | "I16"
  | "F16"
  | "BF16"
  | "U32"
  | "I32"
  | "F32"
  | "U64"
  | "I64"
  | "F64";

export type TypedArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

export const bytesPerElement: Readonly<Record<SafetensorsDtype, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
};

/** A tensor by its header. */
export interface TensorSpec {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
}

/** A tensor in a file that was read; `data` is a view of the file's bytes. */
export interface SafetensorsTensor {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

export interface SafetensorsFile {
  readonly metadata: Record<string, string>;
  readonly tensors: Map<string, SafetensorsTensor>;
}

/** A tensor to be written: `data` holds its elements in row-major order; F16 and BF16 as bits in a `Uint16Array`. */
export interface NamedArray extends TensorSpec {
  readonly data: TypedArray;
}

/** Where a tensor's bytes lie, counted from the start of the data section. */
export interface PlacedTensor extends TensorSpec {
  readonly begin: number;
  readonly end: number;
}

/** The reference implementation's limit, so that a broken length cannot ask for all memory. */
export const maxHeaderBytes = 100_000_000;
const lengthBytes = 8;

/**
 * Reads a whole file. Nothing is copied: the tensors are views of `bytes`.
 *
 * @throws {FormatError} naming what is wrong: length, header, a key given twice, a shape, an offset, a hole, an overlap, a wrong end.
 */
export function readSafetensors(bytes: Uint8Array): SafetensorsFile {
  const headerBytes = readHeaderLength(bytes, bytes.byteLength);
  const dataStart = lengthBytes + headerBytes;
  const { metadata, placed } = parseHeader(bytes.subarray(lengthBytes, dataStart), bytes.byteLength - dataStart);
  const tensors = new Map<string, SafetensorsTensor>();
  for (const { name, dtype, shape, begin, end } of placed) {
    tensors.set(name, { dtype, shape, data: bytes.subarray(dataStart + begin, dataStart + end) });
  }
  return { metadata, tensors };
}

/**
 * Length of the JSON header, from the first 8 bytes of a file of `fileBytes` bytes.
 *
 * @throws {FormatError} `tooShort` or `headerLength`.
 */
export function readHeaderLength(start: Uint8Array, fileBytes: number): number {
  if (start.byteLength < lengthBytes || fileBytes < lengthBytes) {
    throw new FormatError(
      "tooShort",
      { fileBytes },
      `safetensors: ${fileBytes} bytes are too few; a file starts with 8 bytes of header length.`,
    );
  }
  const view = new DataView(start.buffer, start.byteOffset, lengthBytes);
  const length = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
  const limit = Math.min(maxHeaderBytes, fileBytes - lengthBytes);
  if (length < 2 || length > limit) {
    throw new FormatError(
      "headerLength",
      { length, limit },
      `safetensors: header length ${length} is outside 2 to ${limit}; the file is damaged or truncated.`,
    );
  }
  return length;
}

/**
 * Reads the JSON header (without its length) of a file whose data section has `dataBytes` bytes.
 *
 * @returns the metadata, and the tensors by their place in the data.
 * @throws {FormatError} as {@link readSafetensors}.
 */
export function parseHeader(header: Uint8Array, dataBytes: number): { metadata: Record<string, string>; placed: PlacedTensor[] } {
  const fields = parseStrictJson(decodeUtf8(header), "safetensors: the header");
  if (!isRecord(fields)) throw new FormatError("headerNotObject", {}, "safetensors: the header is not a JSON object.");
  let metadata: Record<string, string> = {};
  const placed: PlacedTensor[] = [];
  for (const [name, entry] of Object.entries(fields)) {
    if (name === "__metadata__") metadata = readMetadata(entry);
    else placed.push(readEntry(name, entry));
  }
  placed.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let reached = 0;
  for (const { name, begin, end } of placed) {
    if (begin !== reached) {
      const fault = begin > reached ? "leaves a hole before" : "overlaps";
      throw new FormatError(
        "offsets",
        { name, begin, end, expected: reached },
        `safetensors: ${show(name)} starts at ${begin} and ${fault} byte ${reached}.`,
      );
    }
    reached = end;
  }
  if (reached !== dataBytes) {
    throw new FormatError(
      "dataLength",
      { expected: reached, given: dataBytes },
      `safetensors: the tensors end at byte ${reached}, the data at ${dataBytes}; the file is truncated or has a tail.`,
    );
  }
  return { metadata, placed };
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new FormatError("notUtf8", {}, "safetensors: the header is not valid UTF-8.", { cause });
  }
}

function readMetadata(entry: unknown): Record<string, string> {
  if (!isRecord(entry)) throw new FormatError("metadata", {}, "safetensors: __metadata__ is not an object.");
  for (const [key, value] of Object.entries(entry)) {
    if (typeof value !== "string") throw new FormatError("metadata", { key }, `safetensors: __metadata__.${key} is not a string.`);
  }
  return entry as Record<string, string>;
}

const entryKeys = ["dtype", "shape", "data_offsets"];

function readEntry(name: string, entry: unknown): PlacedTensor {
  if (!isRecord(entry)) throw new FormatError("entry", { name }, `safetensors: the entry of ${show(name)} is not an object.`);
  const unknown = Object.keys(entry).find((key) => !entryKeys.includes(key));
  if (unknown !== undefined)
    throw new FormatError("entry", { name, key: unknown }, `safetensors: ${show(name)} has the unknown key ${show(unknown)}.`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== "string" || !Object.hasOwn(bytesPerElement, dtype)) {
    throw new FormatError(
      "dtype",
      { name, dtype },
      `safetensors: ${show(name)} has dtype ${show(dtype)}; known are ${Object.keys(bytesPerElement).join(", ")}.`,
    );
  }
  if (!isWholeNumbers(shape))
    throw new FormatError(
      "shape",
      { name, shape },
      `safetensors: the shape of ${show(name)} is not a list of whole numbers of at least 0.`,
    );
  if (!isWholeNumbers(offsets) || offsets.length !== 2) {
    throw new FormatError(
      "offsets",
      { name, offsets },
      `safetensors: data_offsets of ${show(name)} is not a pair of whole numbers from 0 to 2^53 - 1.`,
    );
  }
  const [begin, end] = offsets as [number, number];
  const spec = { name, dtype: dtype as SafetensorsDtype, shape };
  const expected = byteLengthOf(spec);
  if (end - begin !== expected) {
    throw new FormatError(
      "tensorLength",
      { name, begin, end, expected },
      `safetensors: ${show(name)} needs ${expected} bytes for ${dtype} [${shape}], its offsets [${begin}, ${end}] hold ${end - begin}.`,
    );
  }
  return { ...spec, begin, end };
}

/**
 * Bytes of a tensor: the product of its shape times the size of an element.
 *
 * @throws {FormatError} `shape` if the product is not an exact integer below 2^53.
 */
export function byteLengthOf({ name, dtype, shape }: TensorSpec): number {
  let bytes = bytesPerElement[dtype];
  for (const size of shape) {
    bytes *= size;
    if (!Number.isSafeInteger(bytes))
      throw new FormatError("shape", { name, shape }, `safetensors: the shape [${shape}] of ${show(name)} has more than 2^53 bytes.`);
  }
  return bytes;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isWholeNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** The header of a file about to be written, and the order in which its data follow. */
export interface SafetensorsLayout<Spec extends TensorSpec = TensorSpec> {
  /** Length, JSON and padding: all that comes before the data. */
  readonly header: Uint8Array;
  /** The tensors in the order of their data. */
  readonly order: readonly Spec[];
  /** Length of the whole file. */
  readonly byteLength: number;
}

/**
 * Plans a file: wide elements come first and the header is padded with spaces to a multiple of 8 bytes, so that every tensor can be
 * viewed in place by its own typed array. Equal arguments give equal bytes.
 *
 * @param metadata pairs keep their order; `__metadata__` is always the first key of the header.
 * @throws {FormatError} `duplicateKey`, `reservedName` or `shape`.
 */
export function layoutSafetensors<Spec extends TensorSpec>(
  tensors: Iterable<Spec>,
  metadata: Iterable<readonly [string, string]>,
): SafetensorsLayout<Spec> {
  const order = [...tensors].sort((a, b) => bytesPerElement[b.dtype] - bytesPerElement[a.dtype]);
  const pairs = [...metadata];
  const fields: [string, string][] =
    pairs.length > 0 ? [["__metadata__", jsonObject(pairs.map(([key, value]) => [key, JSON.stringify(value)]))]] : [];
  let end = 0;
  for (const spec of order) {
    if (spec.name === "__metadata__")
      throw new FormatError("reservedName", { name: spec.name }, 'safetensors: "__metadata__" cannot be the name of a tensor.');
    const begin = end;
    end += byteLengthOf(spec);
    fields.push([spec.name, JSON.stringify({ dtype: spec.dtype, shape: spec.shape, data_offsets: [begin, end] })]);
  }
  const json = new TextEncoder().encode(jsonObject(fields));
  const header = new Uint8Array(lengthBytes + Math.ceil(json.byteLength / 8) * 8).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(header.byteLength - lengthBytes), true);
  header.set(json, lengthBytes);
  return { header, order, byteLength: header.byteLength + end };
}

/** JSON text by hand, because a JavaScript object would move number-like names to the front and swallow "__proto__". */
function jsonObject(fields: readonly (readonly [key: string, json: string])[]): string {
  const seen = new Set<string>();
  for (const [key] of fields) {
    if (seen.has(key)) throw new FormatError("duplicateKey", { key }, `safetensors: two entries have the name ${show(key)}.`);
    seen.add(key);
  }
  return `{${fields.map(([key, json]) => `${JSON.stringify(key)}:${json}`).join(",")}}`;
}

/**
 * Writes a whole file into memory. For large states on disk there is `run/`, which streams them.
 *
 * @throws {FormatError} `duplicateKey`, `reservedName`, `shape`, `dataType` or `tensorLength`.
 */
export function writeSafetensors(tensors: Iterable<NamedArray>, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const { header, order, byteLength } = layoutSafetensors(tensors, Object.entries(metadata));
  const file = new Uint8Array(byteLength);
  file.set(header);
  let at = header.byteLength;
  for (const tensor of order) {
    const bytes = tensorBytes(tensor, tensor.data);
    file.set(bytes, at);
    at += bytes.byteLength;
  }
  return file;
}

/**
 * The bytes of `data`, without a copy, checked against what the header says of the tensor.
 *
 * @throws {FormatError} `dataType` for a typed array of another kind of number, `tensorLength` for a wrong length.
 */
export function tensorBytes(spec: TensorSpec, data: TypedArray): Uint8Array {
  const dtypes = dtypesOf(data);
  if (dtypes !== undefined && !dtypes.includes(spec.dtype)) {
    throw new FormatError(
      "dataType",
      { name: spec.name, dtype: spec.dtype },
      `safetensors: ${show(spec.name)} is ${spec.dtype}, its data a ${data.constructor.name}.`,
    );
  }
  const expected = byteLengthOf(spec);
  if (data.byteLength !== expected) {
    throw new FormatError(
      "tensorLength",
      { name: spec.name, expected, given: data.byteLength },
      `safetensors: ${show(spec.name)} needs ${expected} bytes for ${spec.dtype} [${spec.shape}], its data have ${data.byteLength}.`,
    );
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** The dtypes that a typed array can stand for; bytes (as read from a file) for anything. */
function dtypesOf(data: TypedArray): readonly SafetensorsDtype[] | undefined {
  if (data instanceof Float64Array) return ["F64"];
  if (data instanceof Float32Array) return ["F32"];
  if (data instanceof BigInt64Array) return ["I64"];
  if (data instanceof BigUint64Array) return ["U64"];
  if (data instanceof Int32Array) return ["I32"];
  if (data instanceof Uint32Array) return ["U32"];
  if (data instanceof Int16Array) return ["I16"];
  if (data instanceof Uint16Array) return ["U16", "F16", "BF16"];
  if (data instanceof Int8Array) return ["I8"];
  return undefined;
}

/** `data` as an array of `Type`: a view where the alignment allows it, else a copy. */
function viewAs<View>(
  Type: { new (buffer: ArrayBufferLike, offset: number, length: number): View; BYTES_PER_ELEMENT: number },
  data: Uint8Array,
): View {
  const length = data.byteLength / Type.BYTES_PER_ELEMENT;
  if (data.byteOffset % Type.BYTES_PER_ELEMENT === 0) return new Type(data.buffer, data.byteOffset, length);
  return new Type(new Uint8Array(data).buffer, 0, length); // not data.slice(): a Node Buffer's slice is no copy
}

/** The numbers of an F64, F32, F16 or BF16 tensor, exact. F64 data that lie aligned come as a view, not a copy. */
export function asFloat64(tensor: SafetensorsTensor): Float64Array {
  return tensor.dtype === "F64" ? viewAs(Float64Array, tensor.data) : Float64Array.from(floats(tensor));
}

/** The numbers of an F64, F32, F16 or BF16 tensor, F64 rounded to the nearest. F32 data that lie aligned come as a view, not a copy. */
export function asFloat32(tensor: SafetensorsTensor): Float32Array {
  return tensor.dtype === "F32" ? viewAs(Float32Array, tensor.data) : Float32Array.from(floats(tensor));
}

function floats({ dtype, data }: SafetensorsTensor): Float64Array | Float32Array {
  switch (dtype) {
    case "F64":
      return viewAs(Float64Array, data);
    case "F32":
      return viewAs(Float32Array, data);
    case "F16":
      return Float32Array.from(viewAs(Uint16Array, data), halfToNumber);
    case "BF16":
      return Float32Array.from(viewAs(Uint16Array, data), bfloat16ToNumber);
    default:
      throw new FormatError(
        "dtype",
        { dtype },
        `safetensors: a tensor of dtype ${dtype} was asked for as floats; F64, F32, F16 and BF16 can be.`,
      );
  }
}

/**
 * The numbers of an integer or BOOL tensor.
 *
 * @throws {FormatError} `dtype` for floats, `intRange` for a number outside -2^31 to 2^31 - 1.
 */
export function asInt({ dtype, data }: SafetensorsTensor): Int32Array {
  switch (dtype) {
    case "BOOL":
    case "U8":
      return Int32Array.from(data);
    case "I8":
      return Int32Array.from(viewAs(Int8Array, data));
    case "U16":
      return Int32Array.from(viewAs(Uint16Array, data));
    case "I16":
      return Int32Array.from(viewAs(Int16Array, data));
    case "I32":
      return viewAs(Int32Array, data);
    case "U32":
      return Int32Array.from(viewAs(Uint32Array, data), int32);
    case "I64":
      return Int32Array.from(viewAs(BigInt64Array, data) as Iterable<bigint>, int32);
    case "U64":
      return Int32Array.from(viewAs(BigUint64Array, data) as Iterable<bigint>, int32);
    default:
      throw new FormatError("dtype", { dtype }, `safetensors: a tensor of dtype ${dtype} was asked for as integers.`);
  }
}

function int32(value: number | bigint): number {
  const number = Number(value);
  if (number !== (number | 0))
    throw new FormatError("intRange", { value: String(value) }, `safetensors: ${value} does not fit into 32 bits.`);
  return number;
}
