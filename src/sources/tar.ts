/** An entry of a tar archive. Its content is there until the next entry is asked for. */
export interface TarEntry {
  readonly name: string;
  readonly type: "file" | "link" | "symlink" | "directory" | "other";
  /** Where a link leads; empty for others. */
  readonly target: string;
  /** Bytes of the content. */
  readonly size: number;
  /** The content, once. A content that is not read is passed over. */
  read(): Promise<Uint8Array>;
}

const blockBytes = 512;

/** The longest header that describes another: pax records, a long name. */
const maxExtraBytes = 2 ** 20;

const typeOf: Readonly<Record<string, TarEntry["type"]>> = {
  "\0": "file",
  "0": "file",
  "7": "file",
  "1": "link",
  "2": "symlink",
  "5": "directory",
};

/**
 * The entries of a tar archive, in order: ustar with the pax records path, linkpath and size, and GNU's long names. Bytes are asked for
 * when they are needed and at no other time: nothing is buffered but the content that is read, and nothing is left waiting.
 *
 * @throws {RangeError} if the archive is damaged, or ends before its end mark.
 * @see IEEE Std 1003.1, pax, "ustar Interchange Format".
 */
export async function* tarEntries(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const bytes = new ByteReader(chunks);
  let records: ReadonlyMap<string, string> = new Map();
  try {
    for (;;) {
      const block = await bytes.take(blockBytes);
      if (block.every((byte) => byte === 0)) break;
      checkSum(block);
      const flag = String.fromCharCode(block[156]!);
      const size = sizeOf(records.get("size"), block);
      if (isExtra(flag)) {
        if (size > maxExtraBytes) throw new RangeError(`a header of ${size} bytes; ${maxExtraBytes} are allowed`);
        const content = await bytes.take(size);
        await bytes.skip(padding(size));
        if (flag !== "g") records = new Map([...records, ...extraRecords(flag, content)]);
        continue;
      }
      const ownName = text(block, 0, 100);
      const prefix = text(block, 257, 5) === "ustar" && block[263] === 0x30 ? text(block, 345, 155) : "";
      const name = records.get("path") ?? (prefix === "" ? ownName : `${prefix}/${ownName}`);
      const type = name.endsWith("/") ? "directory" : (typeOf[flag] ?? "other");
      const content = type === "file" || type === "other" ? size : 0;
      let left = content;
      yield {
        name,
        type,
        target: type === "link" || type === "symlink" ? (records.get("linkpath") ?? text(block, 157, 100)) : "",
        size: content,
        read: async () => {
          const length = left;
          left = 0;
          return await bytes.take(length);
        },
      };
      await bytes.skip(left + padding(content));
      records = new Map();
    }
    await bytes.end();
  } finally {
    await bytes.close();
  }
}

function padding(size: number): number {
  return (blockBytes - (size % blockBytes)) % blockBytes;
}

/** pax records of the next entry and of all, GNU's long name and long target of a link. */
function isExtra(flag: string): boolean {
  return "xgLK".includes(flag);
}

function extraRecords(flag: string, content: Uint8Array): ReadonlyMap<string, string> {
  if (flag === "x") return paxRecords(content);
  return new Map([[flag === "L" ? "path" : "linkpath", text(content, 0, content.length)]]);
}

/** Records "LENGTH KEY=VALUE\n", the length in bytes and counting itself. */
function paxRecords(content: Uint8Array): ReadonlyMap<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(0x20, at);
    const length = Number(new TextDecoder().decode(content.subarray(at, space)));
    const isLength = space > at && Number.isSafeInteger(length) && length > space + 1 - at && at + length <= content.length;
    if (!isLength) throw new RangeError("a pax record of no length");
    const [key, ...value] = new TextDecoder().decode(content.subarray(space + 1, at + length - 1)).split("=");
    records.set(key!, value.join("="));
    at += length;
  }
  return records;
}

function sizeOf(record: string | undefined, block: Uint8Array): number {
  const size = record === undefined ? numberIn(block, 124, 12) : /^\d+$/.test(record) ? Number(record) : Number.NaN;
  if (Number.isSafeInteger(size) && size >= 0) return size;
  throw new RangeError("an entry of no size");
}

/** Octal digits, or where the first bit is set a big-endian number. */
function numberIn(block: Uint8Array, at: number, length: number): number {
  const field = block.subarray(at, at + length);
  if (field[0]! >= 0x80) return field.subarray(1).reduce((value, byte) => value * 256 + byte, field[0]! & 0x7f);
  const digits = text(block, at, length).trim();
  return /^[0-7]*$/.test(digits) ? Number.parseInt(digits || "0", 8) : Number.NaN;
}

/** The sum of the header's bytes, its own field read as spaces. */
function checkSum(block: Uint8Array): void {
  let sum = 8 * 0x20;
  for (const [i, byte] of block.entries()) if (i < 148 || i >= 156) sum += byte;
  if (numberIn(block, 148, 8) !== sum) throw new RangeError("a header that does not match its checksum");
}

function text(bytes: Uint8Array, at: number, length: number): string {
  const field = bytes.subarray(at, at + length);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}

/** Exact numbers of bytes from chunks of any length. */
class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next `length` bytes. What is not there is not asked memory for. @throws {RangeError} if there are fewer. */
  async take(length: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for await (const part of this.#parts(length)) parts.push(part);
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  async skip(length: number): Promise<void> {
    for await (const _ of this.#parts(length));
  }

  /** Reads on to the end, so that what checks the bytes (a gzip's checksum) has seen them all. */
  async end(): Promise<void> {
    while ((await this.#chunks.next()).done !== true);
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async *#parts(length: number): AsyncGenerator<Uint8Array> {
    for (let left = length; left > 0; ) {
      if (this.#rest.length === 0) {
        const { done, value } = await this.#chunks.next();
        if (done === true) throw new RangeError("it ends too early");
        this.#rest = value;
      }
      const part = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(part.length);
      left -= part.length;
      yield part;
    }
  }
}
