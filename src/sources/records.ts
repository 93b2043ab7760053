import { basename } from "node:path";
import type { ImageSplit } from "../data/index.ts";
import { DataError } from "../errors.ts";
import { wholeFile } from "./wholeFile.ts";

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
export async function readRecords(paths: readonly string[], { labelBytes, numClasses, channels, size }: RecordFormat): Promise<ImageSplit> {
  const pixels = channels * size * size;
  const recordBytes = labelBytes + pixels;
  const files = await Promise.all(paths.map((path) => wholeFile(path)));
  for (const [i, file] of files.entries()) checkLength(paths[i]!, file.length, recordBytes);
  const count = files.reduce((sum, file) => sum + file.length / recordBytes, 0);
  const images = new Uint8Array(count * pixels);
  const labels = new Int32Array(count);
  let item = 0;
  for (const [i, file] of files.entries()) {
    for (let at = 0; at < file.length; at += recordBytes, item++) {
      const label = file[at + labelBytes - 1]!;
      if (label >= numClasses) {
        throw new DataError(
          "labelOutOfRange",
          { path: paths[i], record: at / recordBytes, label },
          `${paths[i]}: record ${at / recordBytes} has label ${label}; ${numClasses} classes allow 0 to ${numClasses - 1}. The file is damaged or of another format.`,
        );
      }
      labels[item] = label;
      images.set(file.subarray(at + labelBytes, at + recordBytes), item * pixels);
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
