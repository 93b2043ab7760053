import type { ImageDataset, TextDataset } from "../data/index.ts";
import type { AnyTask, RunConfig } from "../define/index.ts";
import { UsageError } from "../errors.ts";
import { type LoadOptions, loadImages, loadText } from "../sources/index.ts";
import { classes, type ImageDataOptions, imageLimits, images, text } from "../tasks/index.ts";

/** Reads a data set from disk. */
export type Load<Data> = (path: string, options: RunConfig["data"], load: LoadOptions) => Promise<Data>;

const loadImageData: Load<ImageDataset> = (path, options, load) => {
  const { imageSize, valSplit, label } = options as Partial<ImageDataOptions>;
  return loadImages(path, { ...load, imageSize, valSplit, label, limits: imageLimits(options as Partial<ImageDataOptions>) });
};
const loadTextData: Load<TextDataset> = (path, { tokenizer }, load) => loadText(path, tokenizer as string, load);

/** Loaders of the data of each task. */
const loaders = new Map<AnyTask, Load<unknown>>([
  [classes, loadImageData],
  [images, loadImageData],
  [text, loadTextData],
]);

/** Registers the loader of a task of one's own. */
export function registerLoader<Data>(task: AnyTask, load: Load<Data>): void {
  loaders.set(task, load);
}

/**
 * The data of a run; where its configuration says `measuredOn: "validation"`, what stands for their test part is a validation part.
 *
 * @param path where they are, if not where the configuration says.
 * @throws {DataError} if they are missing or damaged. {UsageError} if nobody reads data of this task.
 */
export async function loadData(
  task: AnyTask,
  options: RunConfig["data"],
  { path = options.path, ...load }: LoadOptions & { readonly path?: string | undefined } = {},
): Promise<unknown> {
  const loader = loaders.get(task);
  if (loader !== undefined) {
    const isValidation = options.measuredOn === "validation";
    return loader(path, options, load).then((data) => (isValidation ? task.validationOf(data, options) : data));
  }
  throw new UsageError("noLoader", { task: task.name }, `Nothing reads data of the task "${task.name}": call registerLoader.`);
}
