import { encode } from "fast-png";
import { type ContactSheet, drawGrid, type Picture } from "./contactSheet.ts";

export interface AnimationOptions extends ContactSheet {
  /** Of how many parts one is at work in each frame: a bar below the images has as many fields, and the field of that part is dark. */
  readonly parts: number;
  /** Duration of each frame. */
  readonly milliseconds: number;
}

const barHeight = 8;

/**
 * An animated PNG that runs once and stays at its last frame; each frame shows images as {@link drawGrid} does. What
 * knows no animation shows the first frame.
 */
export function encodeAnimation(
  frames: readonly { readonly images: Uint8Array; readonly part: number }[],
  { parts, milliseconds, ...sheet }: AnimationOptions,
): Uint8Array {
  const chunks: Uint8Array[] = [];
  let sequence = 0;
  for (const [i, { images, part }] of frames.entries()) {
    const picture = withBar(drawGrid(images, sheet), part, parts);
    const png = encode({ ...picture, channels: 3, depth: 8 });
    const own = chunksOf(png);
    if (i === 0) {
      chunks.push(png.subarray(0, 8), chunk("IHDR", own.find(({ type }) => type === "IHDR")!.data));
      chunks.push(chunk("acTL", words(frames.length, 1)));
    }
    const control = new Uint8Array(26);
    control.set(words(sequence++, picture.width, picture.height, 0, 0));
    control.set([milliseconds >> 8, milliseconds & 255, 1000 >> 8, 1000 & 255, 0, 0], 20);
    chunks.push(chunk("fcTL", control));
    for (const { data } of own.filter(({ type }) => type === "IDAT"))
      chunks.push(i === 0 ? chunk("IDAT", data) : chunk("fdAT", joined([words(sequence++), data])));
  }
  chunks.push(chunk("IEND", new Uint8Array()));
  return joined(chunks);
}

function withBar({ width, height, data }: Picture, part: number, parts: number): Picture {
  const out = new Uint8Array(3 * width * (height + barHeight)).fill(255);
  out.set(data);
  for (let y = height; y < height + barHeight - 2; y++) {
    for (let x = 2; x < width - 2; x++) {
      const field = Math.floor(((x - 2) * parts) / (width - 4));
      const isBorder = Math.floor(((x - 1) * parts) / (width - 4)) !== field;
      out.fill(isBorder ? 255 : field === part ? 40 : 205, 3 * (y * width + x), 3 * (y * width + x) + 3);
    }
  }
  return { width, height: height + barHeight, data: out };
}

interface Chunk {
  readonly type: string;
  readonly data: Uint8Array;
}

/** The chunks of a PNG file (length, type, data, CRC-32). */
function chunksOf(png: Uint8Array): Chunk[] {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  const chunks: Chunk[] = [];
  for (let at = 8; at < png.length; ) {
    const length = view.getUint32(at);
    chunks.push({ type: String.fromCharCode(...png.subarray(at + 4, at + 8)), data: png.subarray(at + 8, at + 8 + length) });
    at += length + 12;
  }
  return chunks;
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const body = joined([Uint8Array.from(type, (letter) => letter.charCodeAt(0)), data]);
  return joined([words(data.length), body, words(crc32(body))]);
}

/** Whole numbers, four bytes each, the highest first. */
function words(...values: readonly number[]): Uint8Array {
  const out = new Uint8Array(4 * values.length);
  const view = new DataView(out.buffer);
  for (const [i, value] of values.entries()) view.setUint32(4 * i, value);
  return out;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

function crc32(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes) c = crcTable[(c ^ byte) & 255]! ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}
