/** Trained networks as values: predict, sample, logLikelihood. */
export { type Continuing, continueTexts } from "./continueTexts.ts";
export { type BlockClassifier, type Prediction, type TrainedClassifier, trainedClassifier } from "./trainedClassifier.ts";
export {
  type ImageSampleOptions,
  type SampledImages,
  type SampleProgress,
  type TrainedImageModel,
  trainedImageModel,
} from "./trainedImages.ts";
export type { TrainedModel, TrainedUse } from "./trainedModel.ts";
export {
  isLanguageModel,
  type TextDraw,
  type TextLikelihood,
  type TextSampleOptions,
  type TrainedTextModel,
  trainedTextModel,
} from "./trainedText.ts";
