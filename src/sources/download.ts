import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { DataError } from "../errors.ts";

/** A file that is published, as it is known beforehand. */
export interface PublishedFile {
  /** Where it is, the first that answers being taken. */
  readonly addresses: readonly string[];
  readonly bytes: number;
  /** Of its content, in hexadecimal digits. */
  readonly sha256: string;
}

export interface DownloadOptions {
  /** Called now and then with the bytes that are there. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A connection on which nothing comes for so long is given up. */
const silenceMs = 60_000;

/** Connections that break off are taken up again so often in a row. */
const attempts = 5;

/**
 * Downloads a file to `path`. What has arrived is kept in `path.part`: the next call goes on there. The file is in its place once its
 * length and SHA-256 are those that are known; if they are not, nothing is kept.
 *
 * @throws {DataError} `noNetwork` if no address answers; `download` if one refuses, breaks off again and again, or sends another file.
 */
export async function download(file: PublishedFile, path: string, { onProgress = () => {}, signal }: DownloadOptions = {}): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const part = `${path}.part`;
  const reasons: string[] = [];
  for (const address of file.addresses) {
    const reason = await fetchInto(file, address, part, onProgress, signal);
    if (reason === undefined) {
      const found = await sha256Of(part);
      if (found === file.sha256) return await rename(part, path);
      await rm(part, { force: true });
      const message = `${address} sent another file: its SHA-256 is ${found}, and ${file.sha256} is expected. Nothing was kept.`;
      throw new DataError("download", { address, found, expected: file.sha256 }, message);
    }
    reasons.push(`${address}: ${reason.text}`);
    if (!reason.isNetwork) await rm(part, { force: true });
    if (!reason.isNetwork && address === file.addresses.at(-1))
      throw new DataError("download", { address }, `The file cannot be downloaded. ${reasons.join("; ")}.`);
  }
  const kept = await sizeOf(part);
  const rest = kept > 0 ? ` ${kept} of ${file.bytes} bytes are kept: the same command goes on there.` : "";
  const message = `The network does not answer (${reasons.join("; ")}).${rest} Or copy the file to ${path} by other means.`;
  throw new DataError("noNetwork", { path, addresses: file.addresses }, message);
}

/** Why an address did not give the file; undefined if `part` has all its bytes. */
interface Reason {
  readonly text: string;
  /** Whether the connection failed: another try may go better. */
  readonly isNetwork: boolean;
}

async function fetchInto(
  { bytes }: PublishedFile,
  address: string,
  part: string,
  onProgress: (bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<Reason | undefined> {
  let reason: Reason = { text: "it sends nothing", isNetwork: true };
  for (let attempt = 0; attempt < attempts; attempt++) {
    const before = await sizeOf(part);
    if (before === bytes) return undefined;
    if (before > bytes) await rm(part, { force: true });
    signal?.throwIfAborted();
    try {
      const fault = await fetchOnce(address, part, before > bytes ? 0 : before, bytes, onProgress, signal);
      if (fault !== undefined) return { text: fault, isNetwork: false };
    } catch (error) {
      signal?.throwIfAborted();
      reason = { text: networkReason(error), isNetwork: true };
    }
    const after = await sizeOf(part);
    if (after === bytes) return undefined;
    if (after > before)
      attempt = -1; // it gets on
    else if (after === 0) return reason;
  }
  return reason;
}

/** Writes what an address sends behind what is there. @returns what is wrong with the answer, if anything. */
async function fetchOnce(
  address: string,
  part: string,
  from: number,
  bytes: number,
  onProgress: (bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), silenceMs);
  try {
    const headers = from > 0 ? { range: `bytes=${from}-` } : {};
    const response = await fetch(address, { headers, signal: AbortSignal.any([silence.signal, ...(signal ? [signal] : [])]) });
    if (!response.ok) return `it answers ${response.status} ${response.statusText}`.trim();
    const start = response.status === 206 ? rangeStart(response) : 0;
    if (start !== 0 && start !== from) return `it sends bytes from ${start} on, asked for from ${from} on`;
    const length = response.headers.get("content-length");
    const isPlain = response.headers.get("content-encoding") === null;
    if (length !== null && isPlain && start + Number(length) !== bytes)
      return `its file has ${start + Number(length)} bytes, ${bytes} are expected`;
    const file = await open(part, start === 0 ? "w" : "a");
    try {
      let at = start;
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        at += chunk.length;
        if (at > bytes) return `it sends more than the ${bytes} bytes that are expected`;
        await file.writeFile(chunk);
        onProgress(at);
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), silenceMs);
      }
    } finally {
      await file.close();
    }
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/** The first byte of a partial answer: "bytes 100-199/200". */
function rangeStart(response: Response): number {
  return Number(/^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")?.[1] ?? Number.NaN);
}

function networkReason(error: unknown): string {
  const { cause, message } = error as Error & { cause?: { code?: string; message?: string } };
  return cause?.code ?? cause?.message ?? message;
}

async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}
