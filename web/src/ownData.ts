import {
  byteTokenizer,
  channelStatistics,
  DataError,
  generateEmbedded,
  generateEmbeddedText,
  heldOut,
  heldOutShare,
  type ImageDataset,
  type ImageSplit,
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
 * Keeps files as data: one text, or pictures in a folder for each class, with or without train/ and test/ above.
 *
 * @param onProgress called with the share of the pictures that is decoded.
 * @returns what they are, their name, and what was passed over.
 * @throws {DataError} if they are neither; what was kept before stays.
 */
export async function takeData(
  files: readonly HandedFile[],
  onProgress: (share: number) => void = () => {},
): Promise<{ readonly modality: Modality; readonly name: string; readonly note: string }> {
  const pictures = files.filter(({ path }) => pictureFile.test(path));
  if (pictures.length > 0) return takePictures(pictures, onProgress);
  const [only] = files;
  if (only === undefined || files.length > 1) {
    const message = `${files.length} files of which none is a picture: give one text file, or a folder with a folder of pictures (png, jpg, webp) for each class.`;
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
  const tensors = (["train", "test"] as const).flatMap((part) => {
    const count = decoded[part].length;
    const images = new Uint8Array(count * 3 * side * side);
    for (const [i, pixels] of decoded[part].entries()) images.set(pixels, i * pixels.length);
    return [
      { name: `${part}.images`, dtype: "U8" as const, shape: [count, 3, side, side], data: images },
      { name: `${part}.labels`, dtype: "I32" as const, shape: [count], data: Int32Array.from(labels[part]) },
    ];
  });
  const name = plainName(parts[0]!.length > 2 ? parts[0]![0]! : "pictures");
  await writeFile(await dataFolder(), `${name}.safetensors`, writeSafetensors(tensors, { classNames: JSON.stringify(classNames) }));
  const passedOver = damaged.length > 0 ? ` ${damaged.length} damaged ones were passed over, ${damaged[0]} the first.` : "";
  const note = `${decoded.train.length} pictures for training and ${decoded.test.length} for tests, ${classNames.length} classes, scaled to ${side}×${side}.${passedOver}`;
  return { modality: "images" as const, name, note };
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
