import { FormatError } from "../errors.ts";
import { type NumArray, numArray } from "./numArray.ts";

/** The longest header; NumPy itself refuses longer ones. */
const maxHeaderBytes = 10_000;

/**
 * A `.npy` file: "\x93NUMPY", the version, the header's length, the header as a Python dictionary of descr, fortran_order and shape, then
 * the numbers.
 *
 * @throws {FormatError} if it is none, cut off, or holds something else than numbers.
 * @see NumPy Enhancement Proposal 1, "A Simple File Format for NumPy Arrays".
 */
export function readNpy(bytes: Uint8Array): NumArray {
  const isNpy = bytes.length > 12 && bytes[0] === 0x93 && new TextDecoder("latin1").decode(bytes.subarray(1, 6)) === "NUMPY";
  if (!isNpy) throw new FormatError("notNpy", {}, "This is no .npy file: it does not start as one.");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isShort = bytes[6] === 1;
  const start = isShort ? 10 : 12;
  const length = isShort ? view.getUint16(8, true) : view.getUint32(8, true);
  if (bytes[6]! < 1 || bytes[6]! > 3 || length > maxHeaderBytes || start + length > bytes.length)
    badHeader(`version ${bytes[6]}, ${length} bytes`);
  const header = new TextDecoder("latin1").decode(bytes.subarray(start, start + length));
  const type = /'descr':\s*'([^']{2,16})'/.exec(header)?.[1];
  const order = /'fortran_order':\s*(True|False)/.exec(header)?.[1];
  const shape = /'shape':\s*\(((?:\d{1,15},?\s*){0,32})\)/.exec(header)?.[1];
  if (type === undefined || order === undefined || shape === undefined) return badHeader(header.trim());
  const sizes = shape.split(",").map((size) => size.trim());
  return numArray({
    type,
    isColumnOrder: order === "True",
    shape: sizes.filter((size) => size !== "").map(Number),
    bytes: bytes.subarray(start + length),
  });
}

function badHeader(header: string): never {
  const message = `The header of this .npy file is none: ${header.slice(0, 200)}. Arrays of objects are not read; save arrays of numbers.`;
  throw new FormatError("npyHeader", { header: header.slice(0, 200) }, message);
}
