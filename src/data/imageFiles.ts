import { decode as decodePng } from "fast-png";
import jpeg from "jpeg-js";
import { DataError } from "../errors.ts";

/** One decoded image, planar bytes. */
export interface DecodedImage {
  readonly pixels: Uint8Array;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

export const imageFile: RegExp = /\.(png|jpe?g)$/i;

/** Decodes a PNG or JPEG file; transparency is dropped. @throws {DataError} that names the file, if it is damaged. */
export function decodeImage(path: string, bytes: Uint8Array): DecodedImage {
  try {
    if (/\.png$/i.test(path)) {
      const { data, width, height, channels, depth } = decodePng(bytes);
      if (depth !== 8) throw new Error(`it has ${depth} bits a channel, 8 are supported`);
      return planar(data as Uint8Array, width, height, channels, channels < 3 ? 1 : 3);
    }
    const { data, width, height } = jpeg.decode(bytes, { useTArray: true, formatAsRGBA: false });
    return planar(data, width, height, 3, 3);
  } catch (cause) {
    throw new DataError("badImage", { path }, `${path} cannot be decoded: ${(cause as Error).message}. Copy it again or remove it.`, { cause });
  }
}

/** [height, width, stride] -> [channels, height, width] */
function planar(data: Uint8Array, width: number, height: number, stride: number, channels: number): DecodedImage {
  const plane = width * height;
  const pixels = new Uint8Array(channels * plane);
  for (let channel = 0; channel < channels; channel++) for (let i = 0; i < plane; i++) pixels[channel * plane + i] = data[i * stride + channel]!;
  return { pixels, channels, height, width };
}
