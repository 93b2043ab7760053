import { promisify } from "node:util";
import { constants, gunzip, gunzipSync } from "node:zlib";
import { mayUnpackTo, type ReadLimits } from "../data/index.ts";
import { DataError } from "../errors.ts";

const unzip = promisify(gunzip);

/** Compressed bytes in which the header of a format lies. */
const startBytes = 1024;

/** The first `length` bytes of a gzip; fewer if it has fewer. @throws {DataError} if it is damaged. */
export function gunzipStart(path: string, packed: Buffer, length: number): Buffer {
  try {
    return gunzipSync(packed.subarray(0, startBytes), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, length);
  } catch (cause) {
    return damaged(path, cause);
  }
}

/**
 * A gzip whose content says that it has `expected` bytes, and no more is unpacked.
 *
 * @throws {DataError} if it is damaged, longer, or its bytes make more than `limits` allow.
 */
export async function gunzipTo(path: string, packed: Buffer, expected: number, limits: ReadLimits): Promise<Buffer> {
  if (expected > mayUnpackTo(packed.length, limits)) throw expandsTooMuch(path, limits);
  return await unzip(packed, { maxOutputLength: expected }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== "ERR_BUFFER_TOO_LARGE") return damaged(path, cause);
    const message = `${path} is too long: it has more than the ${expected} bytes that its header promises. Copy it again.`;
    throw new DataError("truncated", { path, expected }, message, { cause });
  });
}

export function expandsTooMuch(path: string, { expansion }: Pick<ReadLimits, "expansion">): DataError {
  const message = `${path} unpacks to more than ${expansion} times its size, as no images do. If it is as it should be: --max-expansion N, or unpack it first.`;
  return new DataError("expansion", { path, limit: expansion }, message);
}

/** @throws {DataError} of an archive or a gzip that cannot be unpacked. */
export function damaged(path: string, cause: unknown): never {
  const reason = cause instanceof Error ? cause.message : String(cause);
  throw new DataError("truncated", { path }, `${path} cannot be unpacked, it is cut off or damaged: ${reason}. Copy it again.`, { cause });
}
