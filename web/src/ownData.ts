import {
  byteTokenizer,
  channelStatistics,
  DataError,
  generateEmbedded,
  generateEmbeddedText,
  heldOut,
  heldOutShare,
  type IdxArray,
  type ImageDataset,
  type ImageSplit,
  idxHeaderBytes,
  idxSplit,
  idxValues,
  labelledDataset,
  mayUnpackTo,
  parseIdxHeader,
  readLimits,
  readSafetensors,
  resizeAndCrop,
  type TextDataset,
  text8Tokenizer,
  textDataset,
  writeSafetensors,
} from "diffusion-blocks";
import { dataFolder, keptData, readFile, writeFile } from "./browserRun.ts";

/**
 * Data that a reader of the page hands over. They are kept in the private file system: a text as it is (NAME.txt), pictures decoded and scaled
 * (NAME.safetensors), and never leave the machine.
 */

/** The data that the package makes itself. */
export const embedded = "embedded";

export type Modality = "images" | "text";

/** Pictures are scaled and cropped to this side. */
const side = 32;
const mostPictures = 60_000;
const mostTextBytes = 64e6;
const mostArrayBytes = 256e6;
/** "train-images-idx3-ubyte.gz", "train-labels.idx1-ubyte": the file's part, what it holds. */
const idxFile = /(?:^|\/)([^/]*?)[-_.]?(images|labels)[-_.]idx[13][-_.]ubyte(?:\.gz)?$/i;
const pictureFile = /\.(png|jpe?g|webp|gif|bmp)$/i;

/** Data that can be learned from, by name: the embedded ones, and those that were handed over. */
export async function dataNames(modality: Modality): Promise<readonly string[]> {
  const ending = modality === "text" ? ".txt" : ".safetensors";
  const own = (await keptData()).filter((file) => file.endsWith(ending));
  return [embedded, ...own.map((file) => file.slice(0, -ending.length))];
}

/** @throws {DataError} if this browser does not keep such data. */
export async function loadOwnData(modality: Modality, name: string): Promise<ImageDataset | TextDataset> {
  if (name === embedded) return modality === "text" ? generateEmbeddedText() : generateEmbedded();
  const bytes = await readFile(await dataFolder(), modality === "text" ? `${name}.txt` : `${name}.safetensors`);
  if (bytes !== undefined) return modality === "text" ? textOf(name, bytes) : picturesOf(name, bytes);
  const message = `This run learns from ${name}, which this browser does not keep. Hand it over on the page Train, or train the run further with dblocks train.`;
  throw new DataError("otherData", { name }, message);
}

function textOf(name: string, bytes: Uint8Array): TextDataset {
  const text = new TextDecoder().decode(bytes);
  return textDataset(name, text, /^[a-z ]*$/.test(text) ? text8Tokenizer : byteTokenizer);
}

function picturesOf(name: string, bytes: Uint8Array): ImageDataset {
  const { tensors, metadata } = readSafetensors(bytes);
  const classNames = JSON.parse(metadata.classNames!) as string[];
  const split = (part: string): ImageSplit => {
    const images = tensors.get(`${part}.images`)!;
    const [count, channels, height, width] = images.shape as [number, number, number, number];
    const { data } = tensors.get(`${part}.labels`)!;
    const labels = new Int32Array(data.slice().buffer);
    return { images: images.data, labels, count, channels, height, width };
  };
  const [train, test] = [split("train"), split("test")];
  return { name, classNames, numClasses: classNames.length, ...channelStatistics(train), train, test };
}

/** A file with its path below what was handed over: "train/cat/7.png". */
export interface HandedFile {
  readonly path: string;
  readonly file: File;
}

/**
 * Keeps files as data: one text; pictures in a folder for each class, with or without train/ and test/ above; or IDX files of images and
 * labels, with or without a test part.
 *
 * @param onProgress called with the share of the pictures that is decoded.
 * @returns what they are, their name, and what was passed over.
 * @throws {DataError} if they are neither; what was kept before stays.
 */
export async function takeData(
  files: readonly HandedFile[],
  onProgress: (share: number) => void = () => {},
): Promise<{ readonly modality: Modality; readonly name: string; readonly note: string }> {
  const arrays = files.filter(({ path }) => idxFile.test(path));
  if (arrays.length > 0) return takeIdx(arrays);
  const pictures = files.filter(({ path }) => pictureFile.test(path));
  if (pictures.length > 0) return takePictures(pictures, onProgress);
  const [only] = files;
  if (only === undefined || files.length > 1) {
    const message = `${files.length} files of which none is a picture: give one text file, a folder with a folder of pictures (png, jpg, webp) for each class, or IDX files with their usual names (train-images-idx3-ubyte and train-labels-idx1-ubyte, .gz too).`;
    throw new DataError("unknownFormat", { files: files.length }, message);
  }
  return takeText(only.file);
}

async function takeText(file: File): Promise<{ readonly modality: Modality; readonly name: string; readonly note: string }> {
  if (file.size > mostTextBytes)
    throw new DataError(
      "tooLarge",
      { bytes: file.size },
      `${file.name} has ${file.size} bytes; a page takes up to ${mostTextBytes}. Train on it with dblocks train.`,
    );
  const bytes = new Uint8Array(await file.arrayBuffer());
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new DataError("notText", { file: file.name }, `${file.name} is no text in UTF-8. Give a .txt file, or a folder of pictures.`, {
      cause,
    });
  }
  const name = plainName(file.name);
  await writeFile(await dataFolder(), `${name}.txt`, bytes);
  return { modality: "text", name, note: `${file.name}: ${bytes.length} bytes of text.` };
}

async function takePictures(files: readonly HandedFile[], onProgress: (share: number) => void) {
  if (files.length > mostPictures) {
    const message = `${files.length} pictures; a page takes up to ${mostPictures}. Train on them with dblocks train.`;
    throw new DataError("tooLarge", { files: files.length }, message);
  }
  const parts = files.map(({ path }) => path.split("/"));
  const classOf = (path: readonly string[]): string => path.at(-2) ?? "";
  const splitOf = (path: readonly string[]): string | undefined =>
    path.slice(0, -2).findLast((part) => /^(train|test|val|validation)$/.test(part));
  const classNames = [...new Set(parts.map(classOf))].sort();
  if (classNames.length < 2 || classNames.includes("")) {
    const message = `The pictures are of ${classNames.length} class: expected is a folder for each class, such as cats/1.png and dogs/1.png.`;
    throw new DataError("oneClass", { classes: classNames }, message);
  }
  const hasTest = parts.some((path) => splitOf(path) !== undefined && splitOf(path) !== "train");
  const held = heldOut(parts.map(classOf), heldOutShare);
  const decoded = { train: [] as Uint8Array[], test: [] as Uint8Array[] };
  const labels = { train: [] as number[], test: [] as number[] };
  const damaged: string[] = [];
  for (const [i, { path, file }] of files.entries()) {
    const isTest = hasTest ? splitOf(parts[i]!) !== "train" : held[i]!;
    const pixels = await decode(file).catch(() => undefined);
    if (pixels === undefined) damaged.push(path);
    else {
      decoded[isTest ? "test" : "train"].push(pixels);
      labels[isTest ? "test" : "train"].push(classNames.indexOf(classOf(parts[i]!)));
    }
    if (i % 50 === 49) onProgress((i + 1) / files.length);
  }
  if (decoded.train.length < 10 || decoded.test.length < 1) {
    const message = `${decoded.train.length} pictures for training and ${decoded.test.length} for tests could be read; ${damaged.length} are damaged${damaged.length > 0 ? ` (${damaged[0]})` : ""}. Give 20 or more.`;
    throw new DataError("tooFew", { train: decoded.train.length, test: decoded.test.length }, message);
  }
  const splitOfPart = (part: "train" | "test"): ImageSplit => {
    const count = decoded[part].length;
    const images = new Uint8Array(count * 3 * side * side);
    for (const [i, pixels] of decoded[part].entries()) images.set(pixels, i * pixels.length);
    return { images, labels: Int32Array.from(labels[part]), count, channels: 3, height: side, width: side };
  };
  const name = plainName(parts[0]!.length > 2 ? parts[0]![0]! : "pictures");
  await keepPictures(name, { classNames, train: splitOfPart("train"), test: splitOfPart("test") });
  const passedOver = damaged.length > 0 ? ` ${damaged.length} damaged ones were passed over, ${damaged[0]} the first.` : "";
  const note = `${decoded.train.length} pictures for training and ${decoded.test.length} for tests, ${classNames.length} classes, scaled to ${side}×${side}.${passedOver}`;
  return { modality: "images" as const, name, note };
}

async function keepPictures(name: string, { classNames, ...parts }: Pick<ImageDataset, "classNames" | "train" | "test">): Promise<void> {
  const tensors = (["train", "test"] as const).flatMap((part) => {
    const { images, labels, count, channels, height, width } = parts[part];
    return [
      { name: `${part}.images`, dtype: "U8" as const, shape: [count, channels, height, width], data: images as Uint8Array },
      { name: `${part}.labels`, dtype: "I32" as const, shape: [count], data: labels },
    ];
  });
  await writeFile(await dataFolder(), `${name}.safetensors`, writeSafetensors(tensors, { classNames: JSON.stringify(classNames) }));
}

/** A part is for tests if its files say so: "t10k-images-idx3-ubyte". */
const testPart = /^(t10k|test|val)/i;

async function takeIdx(files: readonly HandedFile[]) {
  const readPart = async (isTest: boolean): Promise<ImageSplit | undefined> => {
    const own = files.filter(({ path }) => testPart.test(idxFile.exec(path)![1]!) === isTest);
    if (own.length === 0) return undefined;
    const [images, labels] = ["images", "labels"].map((what) => own.filter(({ path }) => idxFile.exec(path)![2]!.toLowerCase() === what));
    if (images?.length !== 1 || labels?.length !== 1) {
      const message = `${own.map(({ path }) => path).join(", ")}: a part is one file of images and one of labels, such as train-images-idx3-ubyte and train-labels-idx1-ubyte. Give both.`;
      throw new DataError("missingFile", { files: own.length }, message);
    }
    return idxSplit(await readIdx(images[0]!, 3), await readIdx(labels[0]!, 1), 256);
  };
  const [train, test] = [await readPart(false), await readPart(true)];
  if (train === undefined) {
    const message = "There are IDX files for tests alone. Give those for training too, such as train-images-idx3-ubyte.";
    throw new DataError("missingFile", { files: files.length }, message);
  }
  const [first] = files as [HandedFile];
  const name = plainName(first.path.split("/").at(-2) ?? "idx");
  const data = labelledDataset({ name, path: name, train: scaled(train), test: test && scaled(test), valSplit: heldOutShare });
  await keepPictures(name, data);
  const note = `${data.train.count} pictures for training and ${data.test.count} for tests, ${data.numClasses} classes, scaled to ${side}×${side}.`;
  return { modality: "images" as const, name, note };
}

/** An IDX file. Of a gzip no more is unpacked than its header promises. */
async function readIdx({ path, file }: HandedFile, rank: number): Promise<IdxArray> {
  const isPacked = path.endsWith(".gz");
  const open = (): ReadableStream<Uint8Array> => (isPacked ? file.stream().pipeThrough(new DecompressionStream("gzip")) : file.stream());
  const header = parseIdxHeader(path, await readUpTo(path, open(), idxHeaderBytes(rank)), rank, readLimits);
  const most = Math.min(mostArrayBytes, isPacked ? mayUnpackTo(file.size, readLimits) : file.size);
  if (header.totalBytes > most) {
    const message = `${path} promises ${header.totalBytes} bytes; of this file a page takes up to ${most}. Copy it again, or train on it with dblocks train.`;
    throw new DataError("tooLarge", { path, bytes: header.totalBytes }, message);
  }
  const bytes = await readUpTo(path, open(), header.totalBytes + 1); // one more, to see that it ends there
  return { path, dimensions: header.dimensions, values: idxValues(path, header, bytes) };
}

/** The first bytes of a stream, at most so many. @throws {DataError} if it cannot be unpacked. */
async function readUpTo(path: string, stream: ReadableStream<Uint8Array>, most: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(most);
  let length = 0;
  try {
    for await (const chunk of stream) {
      bytes.set(chunk.subarray(0, most - length), length);
      length = Math.min(most, length + chunk.length);
      if (length === most) break;
    }
  } catch (cause) {
    throw new DataError("truncated", { path }, `${path} cannot be unpacked, it is cut off or damaged. Copy it again.`, { cause });
  }
  return bytes.subarray(0, length);
}

/** The pictures of a part at the side of the page's. */
function scaled(part: ImageSplit): ImageSplit {
  const { channels, height, width, count } = part;
  if (height === side && width === side) return part;
  const [from, to] = [channels * height * width, channels * side * side];
  const images = new Uint8Array(count * to);
  for (let i = 0; i < count; i++) {
    const pixels = (part.images as Uint8Array).subarray(i * from, (i + 1) * from);
    images.set(resizeAndCrop({ channels, height, width, pixels }, side).pixels, i * to);
  }
  return { ...part, images, height: side, width: side };
}

/** A picture as planar RGB, scaled and cropped as `--image-size` does. */
async function decode(file: File): Promise<Uint8Array> {
  const bitmap = await createImageBitmap(file);
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!;
  context.fillStyle = "#fff"; // behind what is transparent
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const plane = width * height;
  const pixels = new Uint8Array(3 * plane);
  for (let i = 0; i < plane; i++) for (let c = 0; c < 3; c++) pixels[c * plane + i] = data[4 * i + c]!;
  return resizeAndCrop({ channels: 3, height, width, pixels }, side).pixels;
}

/** "My book (2).txt" -> "My-book-2" */
function plainName(file: string): string {
  const name = file
    .replace(/\.[^.]*$/, "")
    .replace(/[^\w-]+/g, "-")
    .replace(/^-+|-+$/g, "");
  return name === "" || name === embedded ? `my-${name || "data"}` : name;
}
