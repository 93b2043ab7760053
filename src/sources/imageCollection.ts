import {
  channelStatistics,
  heldOut,
  heldOutShare,
  type ImageDataset,
  type ImageShape,
  type ImageSplit,
  type PlanarImage,
  type ReadLimits,
  resizeAndCrop,
} from "../data/index.ts";
import { DataError } from "../errors.ts";
import { decodeImage, inColour } from "./decodeImage.ts";

/** An image file of the layout {train,test}/CLASS/NAME. */
export interface ImageFile {
  /** For messages. */
  readonly path: string;
  readonly split: string;
  readonly className: string;
  readonly name: string;
  /** Its bytes, or the path of the file before it that it is a link to. */
  readonly content: Uint8Array | { readonly sameAs: string };
  /** Share of the source that is read with this file, from 0 to 1. */
  readonly fraction: number;
}

/** Called now and then with the number of decoded images, and the share of the source, from 0 to 1. */
export type Progress = (images: number, fraction: number) => void;

/** Names of the test part, the first that is there being taken. */
export const testNames: readonly string[] = ["test", "val", "validation"];

export const splitNames: readonly string[] = ["train", ...testNames];

export interface CollectOptions {
  readonly onProgress?: Progress | undefined;
  /** Short side to which images are scaled before the square in the middle is cut out. */
  readonly imageSize?: number | undefined;
  /** Share of the images of each class that is held out where there is no test part; 0.1 by default. */
  readonly valSplit?: number | undefined;
  readonly limits?: Pick<ReadLimits, "imagePixels">;
  /** Names of the classes in their order; those of the training part in alphabetical order by default. */
  readonly classNames?: readonly string[];
}

/** A decoded image waiting for its place. */
interface Item {
  readonly file: Omit<ImageFile, "content">;
  readonly image: PlanarImage;
}

/**
 * Decodes image files as they come and puts them in the order of class, then name: a folder and an archive of it are the same data set.
 * Classes are those of the training part, in alphabetical order, where nothing else is said.
 *
 * @throws {DataError} if a part is empty, an image is damaged or of another size than the first, or a class has no training images.
 */
export async function collectImages(
  name: string,
  root: string,
  files: AsyncIterable<ImageFile>,
  { onProgress = () => {}, imageSize, valSplit = heldOutShare, limits, classNames: given }: CollectOptions = {},
): Promise<ImageDataset> {
  const items: Item[] = [];
  const byPath = new Map<string, PlanarImage>();
  for await (const { content, ...file } of files) {
    const decoded = content instanceof Uint8Array ? decodeImage(file.path, content, limits) : linked(byPath, file.path, content.sameAs);
    const image = imageSize === undefined ? decoded : resizeAndCrop(decoded, imageSize);
    items.push({ file, image });
    byPath.set(file.path, image);
    checkShape(file.path, image, items[0]!.file.path, items[0]!.image);
    if (items.length % 256 === 0) onProgress(items.length, file.fraction);
  }
  onProgress(items.length, 1);
  // Grey images among colour ones become such.
  const isColour = items.some(({ image }) => image.channels === 3);
  const all = isColour ? items.map(({ file, image }) => ({ file, image: inColour(image) })) : items;
  const [train, test] = parts(root, all, valSplit);
  const classNames = given ?? [...new Set(train.map(({ file }) => file.className))];
  const trainSplit = assemble(train, classNames);
  return {
    name,
    classNames,
    numClasses: classNames.length,
    ...channelStatistics(trainSplit),
    train: trainSplit,
    test: assemble(test, classNames),
  };
}

/** @throws {DataError} if a link leads to no image. */
function linked(before: ReadonlyMap<string, PlanarImage>, path: string, target: string): PlanarImage {
  const found = before.get(target);
  if (found !== undefined) return found;
  throw new DataError("brokenLink", { path, target }, `${path} is a link to ${target}, which is no image before it. Mend or remove it.`);
}

/**
 * The training part and the test part; without one, some images of each class, evenly spread by name, are held out.
 *
 * @throws {DataError} if one of them is empty.
 */
function parts(root: string, items: readonly Item[], valSplit: number): readonly [Item[], Item[]] {
  const of = (split: string): Item[] => inOrder(items.filter(({ file }) => file.split === split));
  const train = of("train");
  if (train.length === 0) {
    const message = `${root} has no images in train/CLASS/. Expected are train/CLASS/*.png or *.jpg, and the same for test.`;
    throw new DataError("emptySplit", { root, split: "train" }, message);
  }
  const test = testNames.find((name) => items.some(({ file }) => file.split === name));
  if (test !== undefined) return [train, of(test)];
  const isHeld = heldOut(
    train.map(({ file }) => file.className),
    valSplit,
  );
  const [kept, held] = [train.filter((_, i) => !isHeld[i]), train.filter((_, i) => isHeld[i])];
  if (kept.length > 0 && held.length > 0) return [kept, held];
  const message = `${root} has no test part, and --val-split ${valSplit} of the ${train.length} images leaves ${kept.length} for training and ${held.length} for tests. Choose another --val-split, or add test/CLASS/.`;
  throw new DataError("emptySplit", { root, split: "test", valSplit }, message);
}

function inOrder(items: readonly Item[]): Item[] {
  const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  return items.toSorted(({ file: a }, { file: b }) => compare(a.className, b.className) || compare(a.name, b.name));
}

function assemble(items: readonly Item[], classNames: readonly string[]): ImageSplit {
  const { pixels, channels, height, width } = items[0]!.image;
  const images = new Uint8Array(items.length * pixels.length);
  const labels = new Int32Array(items.length);
  for (const [i, { file, image }] of items.entries()) {
    images.set(image.pixels, i * pixels.length);
    labels[i] = classNames.indexOf(file.className);
    if (labels[i]! < 0) {
      const message = `${file.path} is of class "${file.className}", which has no training images. Remove it, or add images to train/${file.className}/.`;
      throw new DataError("unknownClass", { path: file.path, className: file.className }, message);
    }
  }
  return { images, labels, count: items.length, channels, height, width };
}

function checkShape(path: string, image: ImageShape, other: string, expected: ImageShape): void {
  if (image.height === expected.height && image.width === expected.width) return;
  const show = ({ height, width }: ImageShape): string => `${width}×${height}`;
  const message = `${path} is ${show(image)}, ${other} is ${show(expected)}. To scale and crop all to one size: --image-size N.`;
  throw new DataError("sizesDiffer", { path, other }, message);
}
