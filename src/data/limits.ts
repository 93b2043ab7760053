/**
 * Bounds on what a file may ask of its reader. They are checked before anything is unpacked, or sized by a number in a file, so that a
 * small or damaged file costs neither minutes nor gigabytes.
 */
export interface ReadLimits {
  /**
   * Pixels of one image. By default those of a photograph of 12 megapixels, which the decoders read within about 2 s and 300 MB. An image
   * of more than 4 bytes a pixel counts as more: a PNG of 16 bits, a JPEG whose colours have its full resolution.
   */
  readonly imagePixels: number;
  /** Classes of a data set whose labels are numbers; each is a row of the embedding. ImageNet-21k has 21,841. */
  readonly classes: number;
  /** Unpacked bytes for each byte of a compressed file, beyond the first 64 MiB. Images and labels reach 10; deflate can reach 1032. */
  readonly expansion: number;
  /** Symbols of a tokenizer. Those of large language models have up to 262,144. */
  readonly vocabulary: number;
  /** Characters of one line of JSON lines, and bytes of a file that is read whole to be parsed. */
  readonly parsedLength: number;
}

export const readLimits: ReadLimits = {
  imagePixels: 12_200_000,
  classes: 100_000,
  expansion: 200,
  vocabulary: 2 ** 20,
  parsedLength: 2 ** 28,
};

/** Unpacked bytes that {@link ReadLimits.expansion} leaves alone. */
const freeBytes = 2 ** 26;

/** Bytes that a compressed file, or the part of it that was read, may unpack to. */
export function mayUnpackTo(compressedBytes: number, { expansion }: Pick<ReadLimits, "expansion">): number {
  return freeBytes + expansion * compressedBytes;
}
