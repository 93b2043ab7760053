import { DataError } from "../errors.ts";
import type { ImageSplit } from "./dataset.ts";
import type { ReadLimits } from "./limits.ts";

/** What the start of an IDX file says of the rest. */
export interface IdxHeader {
  /** The first counts the items. */
  readonly dimensions: readonly number[];
  readonly headerBytes: number;
  /** Of the whole file, unpacked. */
  readonly totalBytes: number;
}

/** Bytes that a header of an array of this rank has. */
export function idxHeaderBytes(rank: number): number {
  return 4 + 4 * rank;
}

/**
 * IDX (LeCun et al.): two zero bytes, the type (8: bytes), the number of dimensions, each of them as a big-endian uint32, then the values.
 *
 * @param path the file's name in messages.
 * @param start the file, or its first {@link idxHeaderBytes}, unpacked.
 * @param rank 3 of images, 1 of labels.
 * @throws {DataError} if it is no such file, empty, or its images are larger than `limits` allow.
 */
export function parseIdxHeader(path: string, start: Uint8Array, rank: number, limits: Pick<ReadLimits, "imagePixels">): IdxHeader {
  const headerBytes = idxHeaderBytes(rank);
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  if (start.length < headerBytes || view.getUint16(0) !== 0 || start[2] !== 8 || start[3] !== rank)
    throw new DataError("notIdx", { path }, `${path} is no IDX file of bytes with ${rank} dimensions. Copy it again.`);
  const dimensions = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const [count, ...sizes] = dimensions as [number, ...number[]];
  const pixels = sizes.reduce((product, size) => product * size, 1);
  if (count === 0 || pixels === 0 || pixels > limits.imagePixels) {
    const what = count === 0 ? "is empty" : `has images of ${sizes.join("×")}; they have from 1 to ${limits.imagePixels} pixels`;
    throw new DataError("badSizes", { path, dimensions }, `${path} ${what}. Copy it again.`);
  }
  return { dimensions, headerBytes, totalBytes: headerBytes + count * pixels };
}

/** The values of an IDX file. @throws {DataError} if it is cut off or too long. */
export function idxValues(path: string, { headerBytes, totalBytes }: IdxHeader, bytes: Uint8Array): Uint8Array {
  if (bytes.length === totalBytes) return bytes.subarray(headerBytes);
  const state = bytes.length < totalBytes ? "cut off" : "too long";
  const message = `${path} is ${state}: ${bytes.length} bytes unpacked, its header promises ${totalBytes}. Copy it again.`;
  throw new DataError("truncated", { path, found: bytes.length, expected: totalBytes }, message);
}

/** The values of an IDX file, with what its header said. */
export interface IdxArray {
  readonly path: string;
  readonly dimensions: readonly number[];
  readonly values: Uint8Array;
}

/**
 * Byte images [count, height, width] and byte labels [count] as a part of a data set.
 *
 * @param numClasses the labels are less than this.
 * @throws {DataError} if there are more or fewer labels than images, or one is no class.
 */
export function idxSplit(images: IdxArray, labels: IdxArray, numClasses: number): ImageSplit {
  const [count, height, width] = images.dimensions as [number, number, number];
  const numLabels = labels.dimensions[0]!;
  if (numLabels !== count) {
    const message = `${images.path} has ${count} images, ${labels.path} ${numLabels} labels. Copy both from one archive.`;
    throw new DataError("countsDiffer", { images: count, labels: numLabels }, message);
  }
  const record = labels.values.findIndex((label) => label >= numClasses);
  if (record >= 0) {
    const label = labels.values[record]!;
    const message = `${labels.path}: record ${record} has label ${label}; ${numClasses} classes allow 0 to ${numClasses - 1}. The file is damaged or of another format.`;
    throw new DataError("labelOutOfRange", { path: labels.path, record, label }, message);
  }
  return { images: images.values, labels: Int32Array.from(labels.values), count, channels: 1, height, width };
}
