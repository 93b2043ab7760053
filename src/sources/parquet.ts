import { open } from "node:fs/promises";
import {
  type AsyncBuffer,
  asyncBufferFromFile,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
  type SchemaTree,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { mayUnpackTo, type ReadLimits, readLimits } from "../data/index.ts";
import { DataError } from "../errors.ts";
import { expandsTooMuch } from "./gzip.ts";
import { unreadable } from "./wholeFile.ts";

export const parquetName: RegExp = /\.parquet$/i;

/** A row: the values of the columns that were asked for. */
export type Row = Readonly<Record<string, unknown>>;

/** A parquet file, its rows read group by group. */
export interface ParquetFile {
  readonly path: string;
  readonly columns: readonly SchemaTree[];
  readonly numRows: number;
  /** What Hugging Face's writers say of the columns, by name. */
  readonly features: Readonly<Record<string, { readonly names?: readonly string[] }>>;
  /** @throws {DataError} that names the file and the first row of the group, if it is damaged. */
  rows(columns: readonly string[]): AsyncGenerator<Row>;
}

/** The most rows that a byte of a file can stand for: columns of one value are packed. */
const maxRowsPerByte = 64;

/**
 * Opens a parquet file by its footer.
 *
 * @throws {DataError} that names the file, if it is none or damaged.
 */
export async function openParquet(path: string, limits: ReadLimits = readLimits): Promise<ParquetFile> {
  const file = await asyncBufferFromFile(path).catch((cause: unknown) => unreadable(path, cause));
  const metadata = await footerOf(path, file);
  const groups = metadata.row_groups.map(({ num_rows }) => Number(num_rows));
  const numRows = groups.reduce((sum, rows) => sum + rows, 0);
  if (!groups.every((rows) => Number.isSafeInteger(rows) && rows >= 0) || numRows > maxRowsPerByte * file.byteLength) {
    throw damagedParquet(path, `its footer promises ${numRows} rows`);
  }
  return {
    path,
    columns: parquetSchema(metadata).children,
    numRows,
    features: featuresOf(metadata),
    async *rows(columns) {
      const bounded = boundedCompressors(path, file.byteLength, limits);
      let rowStart = 0;
      for (const rows of groups) {
        const range = { rowStart, rowEnd: rowStart + rows };
        rowStart += rows;
        // Bytes stay bytes: only what the schema calls text becomes text.
        const read = parquetReadObjects({
          file,
          metadata,
          columns: [...columns],
          compressors: bounded,
          utf8: false,
          geoparquet: false,
          ...range,
        });
        const found = await read.catch((cause: unknown) => {
          if (cause instanceof DataError) throw cause;
          throw damagedParquet(path, `rows from ${range.rowStart} on: ${reasonOf(cause)}`, cause);
        });
        if (found.length !== rows) throw damagedParquet(path, `rows from ${range.rowStart} on: there are ${found.length} and not ${rows}`);
        yield* found;
      }
    },
  };
}

const magic = "PAR1";

async function footerOf(path: string, file: AsyncBuffer): Promise<FileMetaData> {
  const handle = await open(path);
  try {
    const ends = Buffer.alloc(8);
    await handle.read(ends, 0, 4, 0);
    await handle.read(ends, 4, 4, Math.max(0, file.byteLength - 4));
    if (ends.toString("latin1") !== magic + magic) throw damagedParquet(path, `it does not start and end with ${magic}`);
  } finally {
    await handle.close();
  }
  return await parquetMetadataAsync(file, { geoparquet: false }).catch((cause: unknown) => {
    throw damagedParquet(path, reasonOf(cause), cause);
  });
}

/** The names of classes that Hugging Face's `datasets` writes beside the schema; none where they are not there, or are no JSON. */
function featuresOf({ key_value_metadata: pairs }: FileMetaData): ParquetFile["features"] {
  const json = pairs?.find(({ key }) => key === "huggingface")?.value;
  try {
    const { info } = JSON.parse(json ?? "{}") as { info?: { features?: Record<string, { names?: unknown }> } };
    const entries = Object.entries(info?.features ?? {}).map(([name, feature]) => {
      const isNames = Array.isArray(feature?.names) && feature.names.every((one) => typeof one === "string");
      return [name, isNames ? { names: feature.names as string[] } : {}] as const;
    });
    return Object.fromEntries(entries);
  } catch {
    return {};
  }
}

/** The same decompressors, which make no more bytes together than `limits` allow. */
function boundedCompressors(path: string, fileBytes: number, limits: ReadLimits): Compressors {
  let made = 0;
  return Object.fromEntries(
    Object.entries(compressors).map(([codec, decompress]) => [
      codec,
      (input: Uint8Array, length: number): Uint8Array => {
        made += length;
        if (!(made <= mayUnpackTo(fileBytes, limits))) throw expandsTooMuch(path, limits);
        return decompress(input, length);
      },
    ]),
  );
}

function damagedParquet(path: string, why: string, cause?: unknown): DataError {
  const message = `${path} is no parquet file that can be read: ${why}. Copy it again.`;
  return new DataError("badParquet", { path }, message, cause === undefined ? undefined : { cause });
}

function reasonOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).slice(0, 200);
}
