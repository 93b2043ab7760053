export { type Augmentation, augmentations } from "./augment.ts";
export { type ImageBatch, type Normalisation, testBatches, type TrainBatches, type TrainBatchOptions, trainBatches } from "./batches.ts";
export { encodePngGrid } from "./contactSheet.ts";
export type { ImageDataset, ImageSplit } from "./dataset.ts";
export { generateEmbedded } from "./embedded.ts";
export type { Progress } from "./imageFolder.ts";
export { loadImages } from "./load.ts";
