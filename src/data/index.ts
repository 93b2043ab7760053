export { type AnimationOptions, encodeAnimation } from "./animation.ts";
export { type Augmentation, augmentations, imageWriter, type Normalisation } from "./augment.ts";
export { type ImageBatch, type TrainBatches, type TrainBatchOptions, testBatches, trainBatches } from "./batches.ts";
export { type ContactSheet, encodePngGrid } from "./contactSheet.ts";
export type { ImageDataset, ImageShape, ImageSplit } from "./dataset.ts";
export { type EmbeddedOptions, generateEmbedded } from "./embedded.ts";
export type { Progress } from "./imageCollection.ts";
export { type LoadOptions, loadImages } from "./load.ts";
export { type PrefetchedBatches, prefetchBatches } from "./prefetch.ts";
export {
  byteTokenizer,
  loadText,
  type TextBatches,
  type TextDataset,
  type Tokenizer,
  type TokenizerName,
  text8Tokenizer,
  textBatches,
  tokenizers,
  unigramEntropy,
} from "./text.ts";
