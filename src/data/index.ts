export { type AnimationOptions, encodeAnimation } from "./animation.ts";
export { imageWriter, type Normalisation } from "./augment.ts";
export { type Augmentation, type AugmentationPlan, augmentationPlan, augmentationUsage } from "./augmentation.ts";
export { augmentationSheet } from "./augmentationSheet.ts";
export {
  checkStep,
  type ImageBatch,
  type PrefetchBatches,
  type PrefetchedBatches,
  type TestBatchOptions,
  type TrainBatches,
  type TrainBatchOptions,
  testBatches,
  trainBatches,
} from "./batches.ts";
export { type ContactSheet, encodePngGrid, imageBytes } from "./contactSheet.ts";
export type { ImageDataset, ImageInfo, ImageShape, ImageSplit } from "./dataset.ts";
export { type EmbeddedOptions, generateEmbedded } from "./embedded.ts";
export { type EmbeddedTextOptions, generateEmbeddedText } from "./embeddedText.ts";
export { type DatasetFromOptions, datasetFrom, type Sample, type Samples } from "./fromSamples.ts";
export { heldOut, heldOutShare, imageValidation } from "./heldOut.ts";
export { type IdxArray, type IdxHeader, idxHeaderBytes, idxSplit, idxValues, parseIdxHeader } from "./idx.ts";
export { checkFinite, checkLabels, labelledDataset } from "./labelled.ts";
export { mayUnpackTo, type ReadLimits, readLimits } from "./limits.ts";
export { type PlanarImage, resizeAndCrop } from "./resize.ts";
export { channelStatistics } from "./statistics.ts";
export { type TextBatches, type TextDataset, type TextInfo, textBatches, textDataset, textParts, unigramEntropy } from "./text.ts";
export {
  byteTokenizer,
  cutAfter,
  loadTokenizer,
  type Tokenizer,
  type TokenizerInfo,
  type TokenizerJson,
  text8Tokenizer,
  tokenizerFromJson,
  tokenizerOf,
} from "./tokenizer.ts";
export { readTokens, type Tokens, tokensOf } from "./tokens.ts";
