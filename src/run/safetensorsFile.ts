import { createHash } from "node:crypto";
import { FormatError } from "../errors.ts";
import {
  checksum,
  layoutSafetensors,
  parseHeader,
  readHeaderLength,
  readSafetensors,
  type SafetensorsFile,
  type TensorSpec,
  type TypedArray,
  tensorBytes,
} from "../formats/index.ts";
import { disk, type FileSystem, type OpenFile, readAll, writeAll } from "./fileSystem.ts";

/**
 * A tensor to be saved. `data` may be a function, called when its turn comes: a state that lies on a device then passes
 * through host memory one tensor at a time.
 */
export interface SavedTensor extends TensorSpec {
  readonly data: TypedArray | (() => TypedArray | Promise<TypedArray>);
}

// The checksum stands in the file, not beside it: one name, one rename, nothing that can be separated. See `checksum`.
const { at: digestAt, length: digestLength, none: noDigest, opening } = checksum;
const chunkBytes = 16 * 2 ** 20;

/**
 * Writes a safetensors file that carries its own SHA-256, in one pass and without copying: each chunk is hashed while it is written,
 * the digest is put into the header last. Any safetensors reader opens it.
 *
 * @param file open for writing and empty; neither synced nor closed here.
 * @throws {FormatError} if a tensor's data do not fit its type and shape.
 */
export async function writeChecksummed(
  file: OpenFile,
  tensors: Iterable<SavedTensor>,
  metadata: Iterable<readonly [string, string]>,
): Promise<void> {
  const { header, order } = layoutSafetensors(tensors, [["sha256", noDigest], ...metadata]);
  const hash = createHash("sha256");
  let position = 0;
  const append = async (bytes: Uint8Array): Promise<void> => {
    for (let at = 0; at < bytes.byteLength; at += chunkBytes) {
      const chunk = bytes.subarray(at, at + chunkBytes);
      const written = writeAll(file, chunk, position);
      hash.update(chunk); // while the system writes
      await written;
      position += chunk.byteLength;
    }
  };
  await append(header);
  for (const tensor of order) {
    await append(tensorBytes(tensor, typeof tensor.data === "function" ? await tensor.data() : tensor.data));
  }
  await writeAll(file, new TextEncoder().encode(hash.digest("hex")), digestAt);
}

/**
 * Reads a file of {@link writeChecksummed} whole, hashing each chunk while the next one is read.
 *
 * @throws {FormatError} `noChecksum`, `checksum`, or what {@link readSafetensors} finds.
 */
export async function readChecksummed(path: string, fs: FileSystem = disk): Promise<SafetensorsFile> {
  const file = await fs.open(path, "r");
  let next: Promise<Uint8Array> = Promise.resolve(new Uint8Array(0));
  try {
    const bytes = new Uint8Array((await file.stat()).size);
    const hash = createHash("sha256");
    let claimed = "";
    next = readChunk(file, bytes, 0);
    for (let at = 0; at < bytes.byteLength; at += chunkBytes) {
      const chunk = await next;
      next = readChunk(file, bytes, at + chunkBytes);
      if (at > 0) {
        hash.update(chunk);
        continue;
      }
      claimed = claimedDigest(chunk);
      hash
        .update(chunk.subarray(0, digestAt))
        .update(noDigest)
        .update(chunk.subarray(digestAt + digestLength));
    }
    if (claimed === "" || hash.digest("hex") !== claimed) {
      throw new FormatError("checksum", { path }, "its content does not match its SHA-256: the file is truncated or damaged");
    }
    return readSafetensors(bytes);
  } finally {
    await next.catch(() => {}); // a file is not closed under a read that still runs
    await file.close();
  }
}

async function readChunk(file: OpenFile, bytes: Uint8Array, at: number): Promise<Uint8Array> {
  const chunk = bytes.subarray(at, at + chunkBytes);
  const length = await readAll(file, chunk, at);
  if (length < chunk.byteLength) throw new FormatError("truncated", { at: at + length }, "the file became shorter while it was read");
  return chunk;
}

function claimedDigest(start: Uint8Array): string {
  const text = Buffer.from(start.buffer, start.byteOffset, Math.min(start.byteLength, digestAt + digestLength)).toString("latin1");
  const digest = text.slice(digestAt);
  if (text.slice(8, digestAt) !== opening || !/^[0-9a-f]{64}$/.test(digest)) {
    throw new FormatError(
      "noChecksum",
      {},
      "it does not start with a SHA-256 of its content: it is no checkpoint of this library, or damaged",
    );
  }
  return digest;
}

/** The metadata of a file, without its tensors and without checking the content. */
export async function readMetadata(path: string, fs: FileSystem = disk): Promise<Record<string, string>> {
  const file = await fs.open(path, "r");
  try {
    const { size } = await file.stat();
    const start = new Uint8Array(8);
    const headerBytes = readHeaderLength(start.subarray(0, await readAll(file, start, 0)), size);
    const header = new Uint8Array(headerBytes);
    return parseHeader(header.subarray(0, await readAll(file, header, 8)), size - 8 - headerBytes).metadata;
  } finally {
    await file.close();
  }
}
