import { basename } from "node:path";
import type { ImageSplit } from "../data/index.ts";
import { DataError } from "../errors.ts";
import type { NamedFile } from "./fileSet.ts";

export interface RecordFormat {
  /** Bytes before the pixels; the class stands in the last of them. */
  readonly labelBytes: number;
  readonly numClasses: number;
  readonly channels: number;
  readonly size: number;
}

/**
 * Reads files of fixed records, label bytes and then planes of pixels row by row, as one split: the binary layout of
 * CIFAR (Krizhevsky 2009).
 *
 * @throws {DataError} if a file is empty or cut off, or a label is out of range.
 */
export function readRecords(files: readonly NamedFile[], { labelBytes, numClasses, channels, size }: RecordFormat): ImageSplit {
  const pixels = channels * size * size;
  const recordBytes = labelBytes + pixels;
  for (const { path, bytes } of files) checkLength(path, bytes.length, recordBytes);
  const count = files.reduce((sum, { bytes }) => sum + bytes.length / recordBytes, 0);
  const images = new Uint8Array(count * pixels);
  const labels = new Int32Array(count);
  let item = 0;
  for (const { path, bytes } of files) {
    for (let at = 0; at < bytes.length; at += recordBytes, item++) {
      const label = bytes[at + labelBytes - 1]!;
      if (label >= numClasses) {
        throw new DataError(
          "labelOutOfRange",
          { path, record: at / recordBytes, label },
          `${path}: record ${at / recordBytes} has label ${label}; ${numClasses} classes allow 0 to ${numClasses - 1}. The file is damaged or of another format.`,
        );
      }
      labels[item] = label;
      images.set(bytes.subarray(at + labelBytes, at + recordBytes), item * pixels);
    }
  }
  return { images, labels, count, channels, height: size, width: size };
}

function checkLength(path: string, found: number, recordBytes: number): void {
  if (found > 0 && found % recordBytes === 0) return;
  const expected = Math.ceil(Math.max(found, 1) / recordBytes) * recordBytes;
  throw new DataError(
    "truncated",
    { path, found, expected, recordBytes },
    `${path} is ${found === 0 ? "empty" : "cut off"}: ${found} bytes, where records of ${recordBytes} bytes would make ${expected}. Copy ${basename(path)} again.`,
  );
}
