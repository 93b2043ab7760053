export { type AnimationOptions, encodeAnimation } from "./animation.ts";
export { type Augmentation, augmentations, imageWriter, type Normalisation } from "./augment.ts";
export {
  type ImageBatch,
  type PrefetchBatches,
  type PrefetchedBatches,
  type TrainBatches,
  type TrainBatchOptions,
  testBatches,
  trainBatches,
} from "./batches.ts";
export { type ContactSheet, encodePngGrid } from "./contactSheet.ts";
export type { ImageDataset, ImageInfo, ImageShape, ImageSplit } from "./dataset.ts";
export { decodeImageFile } from "./decodeImage.ts";
export { type EmbeddedOptions, generateEmbedded } from "./embedded.ts";
export type { Progress } from "./imageCollection.ts";
export { type LoadOptions, loadImages } from "./load.ts";
export { prefetchBatches } from "./prefetch.ts";
export { type LoadTextOptions, loadText, type TextBatches, type TextDataset, type TextInfo, textBatches, unigramEntropy } from "./text.ts";
export { readTokens, type Tokens, tokensOf } from "./tokenFile.ts";
export {
  byteTokenizer,
  loadTokenizer,
  type Tokenizer,
  type TokenizerInfo,
  text8Tokenizer,
  tokenizerInfo,
  tokenizerOf,
} from "./tokenizer.ts";
