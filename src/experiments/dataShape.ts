import { type ImageDataset, type ImageShape, type ImageSplit, loadImages } from "../data/index.ts";
import { UsageError } from "../errors.ts";

/** What a network must know of the data; the images themselves only where training starts from some of them. */
export type DataShape = Pick<ImageDataset, "numClasses"> &
  Partial<Pick<ImageDataset, "mean" | "std">> & {
    /** Of text. */ readonly vocabSize?: number;
    readonly train: ImageShape & Partial<ImageSplit>;
  };

/** The sizes of the data at a path, or those of CIFAR-10 without one; each may be told otherwise. */
export async function dataShapeOf(told: {
  readonly data?: string;
  readonly image?: number;
  readonly channels?: number;
  readonly classes?: number;
  readonly vocab?: number;
}): Promise<DataShape> {
  const { numClasses, train } =
    told.data === undefined ? { numClasses: 10, train: { channels: 3, height: 32, width: 32 } } : await loadImages(told.data);
  const { channels, height, width } = train;
  return {
    numClasses: told.classes ?? numClasses,
    ...(told.vocab !== undefined && { vocabSize: told.vocab }),
    train: { channels: told.channels ?? channels, height: told.image ?? height, width: told.image ?? width },
  };
}

export function notSquare(model: string, { train: { height, width } }: DataShape): UsageError {
  return new UsageError("notSquare", { height, width }, `${model}: images must be square, these are ${width}×${height}.`);
}

/** A model and a method that do not go together. */
export function unfit(model: string, method: string, reason: string, choices: string): UsageError {
  return new UsageError(
    "unfitMethod",
    { model, method },
    `--method ${method} cannot train ${model}: ${reason}. Choose --method ${choices}.`,
  );
}
