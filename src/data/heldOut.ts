import type { ImageDataset, ImageSplit } from "./dataset.ts";

/** Share of the images of each class that is held out where nothing else is said. */
export const heldOutShare = 0.1;

/**
 * Which items are held out: of the i-th of each class those where ⌊(i + 1)·share⌋ > ⌊i·share⌋, spread evenly over their order.
 *
 * @param classes the class of each item, in the order of the items.
 */
export function heldOut(classes: Iterable<unknown>, share: number): boolean[] {
  const seen = new Map<unknown, number>();
  return Array.from(classes, (one) => {
    const i = seen.get(one) ?? 0;
    seen.set(one, i + 1);
    return Math.floor((i + 1) * share) > Math.floor(i * share);
  });
}

/**
 * The training part cut in two: what is held out of it stands in place of the test part, which is not read.
 *
 * @param share of the images of each class that is held out.
 */
export function imageValidation(data: ImageDataset, share: number): ImageDataset {
  const { name, classNames, numClasses, isLatent, mean, std, train } = data;
  const isHeld = heldOut(train.labels, share);
  return {
    ...{ name, classNames, numClasses, mean, std },
    ...(isLatent !== undefined && { isLatent }),
    train: someImages(train, (i) => !isHeld[i]!),
    test: someImages(train, (i) => isHeld[i]!),
  };
}

function someImages({ images, labels, count, channels, height, width }: ImageSplit, isTaken: (i: number) => boolean): ImageSplit {
  const size = channels * height * width;
  const taken = Array.from({ length: count }, (_, i) => i).filter(isTaken);
  const some = images instanceof Uint8Array ? new Uint8Array(taken.length * size) : new Float32Array(taken.length * size);
  for (const [place, i] of taken.entries()) some.set(images.subarray(i * size, (i + 1) * size), place * size);
  return { images: some, labels: Int32Array.from(taken, (i) => labels[i]!), count: taken.length, channels, height, width };
}
