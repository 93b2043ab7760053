import { inflateSync } from "node:zlib";

/** What the header of an image file says, read before anything is decoded. */
export interface ImageHeader {
  readonly width: number;
  readonly height: number;
  /** Bytes that decoding works on: of a PNG the unpacked rows, of a JPEG two for each sample of its components. */
  readonly workBytes: number;
  /** The file without what a decoder does not need and would unpack: a PNG's colour profile and texts. */
  readonly bytes: Uint8Array;
}

const pngSignatureBytes = 8;

/** Samples of a pixel, and the bits that they may have, by colour type. @see PNG specification, table 11.1. */
const pngColours: Readonly<Record<number, { readonly samples: number; readonly depths: readonly number[] }>> = {
  0: { samples: 1, depths: [1, 2, 4, 8, 16] },
  2: { samples: 3, depths: [8, 16] },
  3: { samples: 1, depths: [1, 2, 4, 8] },
  4: { samples: 2, depths: [8, 16] },
  6: { samples: 4, depths: [8, 16] },
};

/** First row and column, and steps, of the seven passes of an interlaced PNG. @see PNG specification, section 8.2. */
const adam7 = [
  [0, 0, 8, 8],
  [0, 4, 8, 8],
  [4, 0, 8, 4],
  [0, 2, 4, 4],
  [2, 0, 4, 2],
  [0, 1, 2, 2],
  [1, 0, 2, 1],
] as const;

/** @throws {RangeError} if the file is cut off, or its header is none. */
export function pngHeader(file: Uint8Array): ImageHeader {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const kept = [file.subarray(0, pngSignatureBytes)];
  let header: Uint8Array | undefined;
  for (let at = pngSignatureBytes, type = ""; type !== "IEND"; ) {
    if (at + 12 > file.length) throw new RangeError("it ends too early");
    const end = at + 12 + view.getUint32(at);
    if (end > file.length) throw new RangeError("it ends too early");
    type = String.fromCharCode(...file.subarray(at + 4, at + 8));
    if (type === "IHDR" && end - at === 25 && header === undefined) header = file.subarray(at + 8, at + 21);
    else if (header === undefined || type === "IHDR") throw new RangeError("it does not start with one header");
    // Chunks whose name starts with a capital are needed; of the others, transparency decides how many samples there are.
    if (/^[A-Z]/.test(type) || type === "tRNS") kept.push(file.subarray(at, end));
    at = end;
  }
  const { width, height, rowBytes, interlaced } = pngShape(header!);
  const passes = interlaced ? adam7 : ([[0, 0, 1, 1]] as const);
  const workBytes = passes.reduce((sum, [row, column, rows, columns]) => {
    const [w, h] = [Math.ceil(Math.max(0, width - column) / columns), Math.ceil(Math.max(0, height - row) / rows)];
    return w === 0 ? sum : sum + h * (1 + rowBytes(w));
  }, 0);
  return { width, height, workBytes, bytes: Buffer.concat(kept) };
}

function pngShape(header: Uint8Array): { width: number; height: number; rowBytes: (width: number) => number; interlaced: boolean } {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const [width, height, depth, colour, interlace] = [view.getUint32(0), view.getUint32(4), header[8]!, header[9]!, header[12]!];
  const { samples, depths } = pngColours[colour] ?? { samples: 0, depths: [] };
  if (!depths.includes(depth)) throw new RangeError(`its colour type ${colour} with ${depth} bits is none`);
  if (header[10] !== 0 || header[11] !== 0 || interlace > 1)
    throw new RangeError("its way of compression, filtering or interlacing is unknown");
  return { width, height, rowBytes: (w) => Math.ceil((w * samples * depth) / 8), interlaced: interlace === 1 };
}

/** @throws {RangeError} if the pixels of a PNG do not unpack to what its header promises. */
export function checkPngData({ bytes, workBytes }: ImageHeader): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: Uint8Array[] = [];
  for (let at = pngSignatureBytes; at < bytes.length; at += 12 + view.getUint32(at))
    if (view.getUint32(at + 4) === 0x49444154) parts.push(bytes.subarray(at + 8, at + 8 + view.getUint32(at))); // IDAT
  const packed = Buffer.concat(parts);
  if (packed.length * 1032 < workBytes) throw new RangeError("it holds fewer pixels than its header promises");
  const { length } = inflateSync(packed, { maxOutputLength: workBytes });
  if (length < workBytes) throw new RangeError("it holds fewer pixels than its header promises");
}

/** Scans of a progressive JPEG; encoders write about ten. */
const maxScans = 100;

/** @throws {RangeError} if the file is cut off, or its header is none. */
export function jpegHeader(bytes: Uint8Array): ImageHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let frame: { readonly width: number; readonly height: number; readonly samples: number } | undefined;
  let scans = 0;
  for (let at = 2; at + 4 <= bytes.length; ) {
    const marker = bytes[at + 1]!;
    if (bytes[at] !== 0xff || marker === 0 || marker === 0xff || (marker >= 0xd0 && marker <= 0xd7)) {
      at++; // within the pixels
      continue;
    }
    if (marker === 0xd9) break;
    const length = view.getUint16(at + 2);
    if (isFrame(marker)) {
      if (frame !== undefined) throw new RangeError("it has more than one frame");
      frame = jpegFrame(bytes.subarray(at + 2, at + 2 + length));
    }
    if (marker === 0xda && ++scans > maxScans) throw new RangeError(`it has more than ${maxScans} scans`);
    at += 2 + length;
  }
  if (frame === undefined) throw new RangeError("it has no header of a frame");
  const { width, height, samples } = frame;
  // Each block of 8×8 pixels takes a bit at least, in the scan of the averages.
  if (8 * bytes.length < Math.ceil(width / 8) * Math.ceil(height / 8))
    throw new RangeError("it holds fewer pixels than its header promises");
  return { width, height, workBytes: 2 * samples, bytes };
}

/** A frame's header: its length, precision, height, width, and of each component the name, sampling factors and table. */
function jpegFrame(segment: Uint8Array): { readonly width: number; readonly height: number; readonly samples: number } {
  const components = segment[7] ?? 0;
  if (components === 0 || segment.length < 8 + 3 * components) throw new RangeError("its header of a frame is damaged");
  const view = new DataView(segment.buffer, segment.byteOffset, segment.byteLength);
  const [height, width] = [view.getUint16(3), view.getUint16(5)];
  const factors = Array.from({ length: components }, (_, i) => segment[9 + 3 * i]!).map((byte) => [byte >> 4, byte & 15] as const);
  if (factors.flat().some((factor) => factor < 1 || factor > 4)) throw new RangeError("its sampling factors are not from 1 to 4");
  const largest = Math.max(...factors.map(([across]) => across)) * Math.max(...factors.map(([, down]) => down));
  const samples = factors.reduce((sum, [across, down]) => sum + (width * height * across * down) / largest, 0);
  return { width, height, samples };
}

/** Start of a frame: 0xc0 to 0xcf without the tables among them. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}
