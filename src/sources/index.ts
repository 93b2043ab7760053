/** Data sets and texts from disk (Node). */
export { decodeImageFile } from "./decodeImage.ts";
export type { Progress } from "./imageCollection.ts";
export type { FormatSource, ImageFormat, LoadOptions } from "./imageFormat.ts";
export { addImageFormat, loadImages } from "./load.ts";
export { type LoadTextOptions, loadText } from "./loadText.ts";
export { prefetchBatches } from "./prefetch.ts";
