import { FormatError } from "../errors.ts";
import { halfToNumber } from "./halfFloat.ts";

/** An array of numbers of any rank, in row order. */
export interface NumArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array | Int32Array | Float32Array;
}

interface ElementType {
  readonly bytes: number;
  make(count: number): NumArray["data"];
  /** @throws {RangeError} if the number does not fit into what holds it. */
  read(view: DataView, at: number, isLittle: boolean): number;
}

const bytesOf = (count: number): Uint8Array => new Uint8Array(count);
const ints = (count: number): Int32Array => new Int32Array(count);
const floats = (count: number): Float32Array => new Float32Array(count);

/** NumPy's types of numbers, without the byte order. @see NumPy, "The Array Interface", typestr. */
const elementTypes: Readonly<Record<string, ElementType>> = {
  b1: { bytes: 1, make: bytesOf, read: (view, at) => view.getUint8(at) },
  u1: { bytes: 1, make: bytesOf, read: (view, at) => view.getUint8(at) },
  i1: { bytes: 1, make: ints, read: (view, at) => view.getInt8(at) },
  u2: { bytes: 2, make: ints, read: (view, at, little) => view.getUint16(at, little) },
  i2: { bytes: 2, make: ints, read: (view, at, little) => view.getInt16(at, little) },
  u4: { bytes: 4, make: ints, read: (view, at, little) => int32(view.getUint32(at, little)) },
  i4: { bytes: 4, make: ints, read: (view, at, little) => view.getInt32(at, little) },
  u8: { bytes: 8, make: ints, read: (view, at, little) => int32(Number(view.getBigUint64(at, little))) },
  i8: { bytes: 8, make: ints, read: (view, at, little) => int32(Number(view.getBigInt64(at, little))) },
  f2: { bytes: 2, make: floats, read: (view, at, little) => halfToNumber(view.getUint16(at, little)) },
  f4: { bytes: 4, make: floats, read: (view, at, little) => view.getFloat32(at, little) },
  f8: { bytes: 8, make: floats, read: (view, at, little) => view.getFloat64(at, little) },
};

function int32(value: number): number {
  if (value === Math.trunc(value) && Math.abs(value) < 2 ** 31) return value;
  throw new RangeError(`${value} does not fit into 32 bits`);
}

export interface RawArray {
  /** NumPy's name of the type, with its byte order: "<f4", "|u1". */
  readonly type: string;
  readonly shape: readonly number[];
  readonly isColumnOrder: boolean;
  readonly bytes: Uint8Array;
}

/**
 * An array as NumPy writes it.
 *
 * @returns bytes for bytes, 32-bit integers for other integers, 32-bit floats for floats.
 * @throws {FormatError} if the type is none of numbers, its bytes are not those of its shape, or an integer needs more than 32 bits.
 */
export function numArray({ type, shape, isColumnOrder, bytes }: RawArray): NumArray {
  const element = Object.hasOwn(elementTypes, type.slice(1)) ? elementTypes[type.slice(1)] : undefined;
  if (element === undefined || !"<>|=".includes(type[0]!)) {
    const message = `An array of type ${type} cannot be read; known are ${Object.keys(elementTypes).join(", ")}. Convert it to one of them.`;
    throw new FormatError("arrayType", { type }, message);
  }
  const count = shape.reduce((product, size) => product * size, 1);
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0) || bytes.length !== count * element.bytes) {
    const message = `An array of shape [${shape.join(", ")}] and type ${type} has ${count * element.bytes} bytes; there are ${bytes.length}.`;
    throw new FormatError("arrayLength", { type, shape, bytes: bytes.length }, message);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const data = element.bytes === 1 && type.endsWith("u1") ? Uint8Array.from(bytes) : element.make(count);
  if (data.length > 0 && !type.endsWith("u1"))
    for (let i = 0; i < count; i++) {
      try {
        data[i] = element.read(view, i * element.bytes, type[0] !== ">");
      } catch (cause) {
        const message = `Element ${i} of an array of type ${type}: ${(cause as Error).message}.`;
        throw new FormatError("arrayValue", { type, element: i }, message, { cause });
      }
    }
  return { shape, data: isColumnOrder && shape.length > 1 ? inRowOrder(data, shape) : data };
}

/** A copy in row order of what is in column order. */
function inRowOrder<T extends NumArray["data"]>(columns: T, shape: readonly number[]): T {
  const rows = new (columns.constructor as new (length: number) => T)(columns.length);
  const index = shape.map(() => 0);
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((product, size) => product * size, 1));
  let from = 0;
  for (let to = 0; to < rows.length; to++) {
    rows[to] = columns[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]!++;
      from += strides[axis]!;
      if (index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return rows;
}
