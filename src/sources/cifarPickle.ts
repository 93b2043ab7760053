import type { ImageSplit } from "../data/index.ts";
import { DataError, FormatError } from "../errors.ts";
import { type Pickled, readPickle } from "../formats/index.ts";
import type { NamedFile } from "./fileSet.ts";

export interface PickleFormat {
  /** The key of the labels. */
  readonly labels: string;
  readonly numClasses: number;
  readonly channels: number;
  readonly size: number;
}

/**
 * Reads pickles of a dictionary with `data`, bytes [count, channels·size²], planes of pixels row by row, and labels, as one split: the
 * Python layout of CIFAR (Krizhevsky 2009).
 *
 * @throws {DataError} that names the file, if it is damaged, holds anything but data, or a label is out of range.
 */
export function readPickledImages(files: readonly NamedFile[], { labels: key, numClasses, channels, size }: PickleFormat): ImageSplit {
  const pixels = channels * size * size;
  const parts = files.map((file) => {
    const dictionary = dictionaryOf(file);
    const [data, labels] = [dictionary.get("data"), dictionary.get(key)];
    const isImages = isArray(data) && data.data instanceof Uint8Array && data.shape.length === 2 && data.shape[1] === pixels;
    if (!isImages) return refuse(file, `"data" is no array of bytes of shape [count, ${pixels}]`);
    const numbers = isArray(labels) ? Array.from(labels.data) : labels;
    if (!Array.isArray(numbers) || numbers.length !== data.shape[0]) return refuse(file, `"${key}" is no list of ${data.shape[0]} labels`);
    for (const [record, label] of numbers.entries()) {
      if (Number.isInteger(label) && (label as number) >= 0 && (label as number) < numClasses) continue;
      const message = `${file.path}: record ${record} has label ${String(label).slice(0, 20)}; ${numClasses} classes allow 0 to ${numClasses - 1}. The file is damaged or of another format.`;
      throw new DataError("labelOutOfRange", { path: file.path, record, label }, message);
    }
    return { images: data.data as Uint8Array, labels: numbers as number[] };
  });
  const count = parts.reduce((sum, { labels }) => sum + labels.length, 0);
  const images = new Uint8Array(count * pixels);
  let item = 0;
  for (const part of parts) {
    images.set(part.images, item * pixels);
    item += part.labels.length;
  }
  return { images, labels: Int32Array.from(parts.flatMap(({ labels }) => labels)), count, channels, height: size, width: size };
}

/** The names of classes in a pickle of a dictionary. @throws {DataError} that names the file, if they are not there. */
export function readPickledNames(file: NamedFile, key: string): string[] {
  const names = dictionaryOf(file).get(key);
  if (!Array.isArray(names)) return refuse(file, `"${key}" is no list of names`);
  return names.map((name: Pickled) => (name instanceof Uint8Array ? new TextDecoder().decode(name) : String(name)));
}

function dictionaryOf(file: NamedFile): ReadonlyMap<string, Pickled> {
  let value: Pickled;
  try {
    value = readPickle(file.bytes);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new DataError("badPickle", { path: file.path, ...cause.data }, `${file.path}: ${cause.message}`, { cause });
  }
  return value instanceof Map ? value : refuse(file, "it is no dictionary");
}

function isArray(value: Pickled | undefined): value is Exclude<Extract<Pickled, { data: unknown }>, null> {
  return typeof value === "object" && value !== null && "shape" in value && "data" in value;
}

function refuse({ path }: NamedFile, what: string): never {
  throw new DataError("badPickle", { path }, `${path}: ${what}. Copy it again from the data set's archive.`);
}
