/** Data sets and texts from disk (Node). */
export { type DataInfo, type DataInfoOptions, type DescribedData, dataInfo, type ImageDataInfo, type TextDataInfo } from "./dataInfo.ts";
export { decodeImageFile } from "./decodeImage.ts";
export type { Progress } from "./imageCollection.ts";
export type { FormatSource, ImageFormat, LoadOptions } from "./imageFormat.ts";
export { addImageFormat, loadImages } from "./load.ts";
export { type LoadTextOptions, loadText } from "./loadText.ts";
export { prefetchBatches } from "./prefetch.ts";
export {
  getPublished,
  isPublished,
  type PublishedDataset,
  publishedDataset,
  publishedDatasets,
  publishedFolder,
} from "./published.ts";
