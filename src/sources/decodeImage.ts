import { convertIndexedToRgb, decode as decodePng } from "fast-png";
import jpeg from "jpeg-js";
import { type ImageShape, type PlanarImage, type ReadLimits, readLimits, resizeAndCrop } from "../data/index.ts";
import { DataError } from "../errors.ts";
import { checkPngData, type ImageHeader, jpegHeader, pngHeader } from "./imageHeader.ts";

/** Names of files that are taken for images; hidden ones are not. */
export const imageFileName: RegExp = /^[^.].*\.(png|jpe?g)$/i;

/** The longest file that an image of so many pixels can need: 8 bytes a pixel, uncompressed, and as much again for what goes with it. */
export function maxImageFileBytes({ imagePixels }: Pick<ReadLimits, "imagePixels">): number {
  return 2 ** 20 + 16 * imagePixels;
}

/**
 * Decodes a PNG or JPEG file, which its first bytes tell and not its name; transparency is dropped. Its header is read first.
 *
 * @throws {DataError} that names the file, if it is damaged, neither, empty, or has more pixels than `limits` allow.
 */
export function decodeImage(path: string, bytes: Uint8Array, limits: Pick<ReadLimits, "imagePixels"> = readLimits): PlanarImage {
  const starts = (...signature: number[]): boolean => signature.every((byte, i) => bytes[i] === byte);
  const kind = starts(0x89, 0x50, 0x4e, 0x47) ? png : starts(0xff, 0xd8, 0xff) ? jpegKind : undefined;
  if (kind === undefined) {
    const message = `${path} is neither a PNG nor a JPEG image: its first bytes are those of neither. Convert it, or remove it.`;
    throw new DataError("notImage", { path }, message);
  }
  try {
    const header = kind.header(bytes);
    checkPixels(path, header, limits.imagePixels);
    return kind.decode(header, limits.imagePixels);
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DataError("badImage", { path }, `${path} cannot be decoded: ${reason}. Copy it again or remove it.`, { cause });
  }
}

/** @throws {DataError} if an image has no pixels, or too many. */
function checkPixels(path: string, { width, height, workBytes }: ImageHeader, most: number): void {
  if (width === 0 || height === 0) {
    throw new DataError(
      "noPixels",
      { path, width, height },
      `${path} is ${width}×${height}: it has no pixels. Copy it again or remove it.`,
    );
  }
  const pixels = Math.max(width * height, Math.ceil(workBytes / 4));
  if (pixels <= most) return;
  const message = `${path} is ${width}×${height}, ${workBytes} bytes to decode; the limit is ${most} pixels of 4 bytes. Scale it down, or: --max-image-pixels ${pixels}`;
  throw new DataError("tooManyPixels", { path, width, height, limit: most }, message);
}

interface Kind {
  header(bytes: Uint8Array): ImageHeader;
  decode(header: ImageHeader, maxPixels: number): PlanarImage;
}

const png: Kind = {
  header: pngHeader,
  decode: (header) => {
    checkPngData(header);
    const decoded = decodePng(header.bytes, { checkCrc: true });
    const { width, height, channels, depth } = decoded;
    if (decoded.palette !== undefined) return planar(convertIndexedToRgb(decoded), width, height, decoded.palette[0]!.length, 3);
    return planar(inBytes(decoded.data, { width: width * channels, height, depth }), width, height, channels, channels < 3 ? 1 : 3);
  },
};

const jpegKind: Kind = {
  header: jpegHeader,
  decode: (header, maxPixels) => {
    const { data, width, height } = jpeg.decode(header.bytes, {
      useTArray: true,
      formatAsRGBA: false,
      tolerantDecoding: false,
      maxResolutionInMP: Math.ceil(maxPixels / 1e6),
      maxMemoryUsageInMB: 64 + Math.ceil((64 * maxPixels) / 1e6),
    });
    return planar(data, width, height, 3, 3);
  },
};

/** Samples of 1, 2, 4, 8 or 16 bits as bytes. Rows of samples below 8 bits begin at whole bytes, the highest bits first. */
function inBytes(
  data: ArrayLike<number>,
  { width, height, depth }: { readonly width: number; readonly height: number; readonly depth: number },
): Uint8Array {
  if (depth === 8) return data as Uint8Array;
  const out = new Uint8Array(width * height);
  if (depth === 16) {
    for (let i = 0; i < out.length; i++) out[i] = Math.round(data[i]! / 257);
    return out;
  }
  const [perByte, largest] = [8 / depth, 2 ** depth - 1];
  const rowBytes = Math.ceil(width / perByte);
  for (let row = 0, i = 0; row < height; row++) {
    for (let column = 0; column < width; column++, i++) {
      const byte = data[row * rowBytes + Math.floor(column / perByte)]!;
      out[i] = (255 * ((byte >> (8 - depth * ((column % perByte) + 1))) & largest)) / largest;
    }
  }
  return out;
}

/** A grey image in three equal channels. */
export function inColour({ pixels, ...shape }: PlanarImage): PlanarImage {
  if (shape.channels === 3) return { ...shape, pixels };
  const out = new Uint8Array(3 * pixels.length);
  for (let channel = 0; channel < 3; channel++) out.set(pixels, channel * pixels.length);
  return { ...shape, channels: 3, pixels: out };
}

/** [height, width, stride] -> [channels, height, width] */
function planar(data: Uint8Array, width: number, height: number, stride: number, channels: number): PlanarImage {
  const plane = width * height;
  const pixels = new Uint8Array(channels * plane);
  for (let channel = 0; channel < channels; channel++)
    for (let i = 0; i < plane; i++) pixels[channel * plane + i] = data[i * stride + channel]!;
  return { pixels, channels, height, width };
}

/**
 * The pixels of an image file for a network: [channels, height, width] bytes. Grey images become colour ones where
 * the network wants them.
 *
 * @param options.resized whether images of another size are scaled and cropped to the network's, as those that it was trained on.
 * @param options.maxPixels pixels of the largest image that is decoded.
 * @throws {DataError} that names the file, if it is damaged or of another size.
 */
export function decodeImageFile(
  bytes: Uint8Array,
  path: string,
  { channels, height, width }: ImageShape,
  { resized = false, maxPixels = readLimits.imagePixels }: { readonly resized?: boolean; readonly maxPixels?: number | undefined } = {},
): Uint8Array {
  const decoded = decodeImage(path, bytes, { imagePixels: maxPixels });
  const coloured = channels === 3 ? inColour(decoded) : decoded;
  const image = resized ? resizeAndCrop(coloured, height) : coloured;
  if (image.height === height && image.width === width && image.channels === channels) return image.pixels;
  const message = `${path} has ${decoded.channels} channels of ${image.width}×${image.height}; the network was trained on ${channels} of ${width}×${height}. Convert it.`;
  throw new DataError("imageSize", { path, channels, height, width }, message);
}
