import { convertIndexedToRgb, decode as decodePng } from "fast-png";
import jpeg from "jpeg-js";
import { type ImageShape, type PlanarImage, resizeAndCrop } from "../data/index.ts";
import { DataError } from "../errors.ts";

/** Names of files that are taken for images; hidden ones are not. */
export const imageFileName: RegExp = /^[^.].*\.(png|jpe?g)$/i;

/**
 * Decodes a PNG or JPEG file, which its first bytes tell and not its name; transparency is dropped.
 *
 * @throws {DataError} that names the file, if it is damaged or neither.
 */
export function decodeImage(path: string, bytes: Uint8Array): PlanarImage {
  const starts = (...signature: number[]): boolean => signature.every((byte, i) => bytes[i] === byte);
  const decode = starts(0x89, 0x50, 0x4e, 0x47) ? fromPng : starts(0xff, 0xd8, 0xff) ? fromJpeg : undefined;
  if (decode === undefined) {
    const message = `${path} is neither a PNG nor a JPEG image: its first bytes are those of neither. Convert it, or remove it.`;
    throw new DataError("notImage", { path }, message);
  }
  try {
    return decode(bytes);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DataError("badImage", { path }, `${path} cannot be decoded: ${reason}. Copy it again or remove it.`, { cause });
  }
}

function fromPng(bytes: Uint8Array): PlanarImage {
  const png = decodePng(bytes, { checkCrc: true });
  const { width, height, channels, depth } = png;
  if (png.palette !== undefined) return planar(convertIndexedToRgb(png), width, height, png.palette[0]!.length, 3);
  return planar(inBytes(png.data, { width: width * channels, height, depth }), width, height, channels, channels < 3 ? 1 : 3);
}

/** Samples of 1, 2, 4, 8 or 16 bits as bytes. Rows of samples below 8 bits begin at whole bytes, the highest bits first. */
function inBytes(
  data: ArrayLike<number>,
  { width, height, depth }: { readonly width: number; readonly height: number; readonly depth: number },
): Uint8Array {
  if (depth === 8) return data as Uint8Array;
  if (depth === 16) return Uint8Array.from(data, (sample) => Math.round(sample / 257));
  const [perByte, largest] = [8 / depth, 2 ** depth - 1];
  const rowBytes = Math.ceil(width / perByte);
  return Uint8Array.from({ length: width * height }, (_, i) => {
    const [row, column] = [Math.floor(i / width), i % width];
    const byte = data[row * rowBytes + Math.floor(column / perByte)]!;
    return (255 * ((byte >> (8 - depth * ((column % perByte) + 1))) & largest)) / largest;
  });
}

/** A grey image in three equal channels. */
export function inColour({ pixels, ...shape }: PlanarImage): PlanarImage {
  if (shape.channels === 3) return { ...shape, pixels };
  const out = new Uint8Array(3 * pixels.length);
  for (let channel = 0; channel < 3; channel++) out.set(pixels, channel * pixels.length);
  return { ...shape, channels: 3, pixels: out };
}

function fromJpeg(bytes: Uint8Array): PlanarImage {
  const { data, width, height } = jpeg.decode(bytes, { useTArray: true, formatAsRGBA: false, tolerantDecoding: false });
  return planar(data, width, height, 3, 3);
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
 * @param resized whether images of another size are scaled and cropped to the network's, as those that it was trained on.
 * @throws {DataError} that names the file, if it is damaged or of another size.
 */
export function decodeImageFile(bytes: Uint8Array, path: string, { channels, height, width }: ImageShape, resized = false): Uint8Array {
  const decoded = decodeImage(path, bytes);
  const coloured = channels === 3 ? inColour(decoded) : decoded;
  const image = resized ? resizeAndCrop(coloured, height) : coloured;
  if (image.height === height && image.width === width && image.channels === channels) return image.pixels;
  const message = `${path} has ${decoded.channels} channels of ${image.width}×${image.height}; the network was trained on ${channels} of ${width}×${height}. Convert it.`;
  throw new DataError("imageSize", { path, channels, height, width }, message);
}
