/** Tasks: data, batches, evaluation, and how results are shown. */
export { classes, percent } from "./classes.ts";
export type { ClassEvaluation } from "./evaluateClasses.ts";
export type { ImageEvaluation } from "./evaluateImages.ts";
export type { TextBits, TextEvaluation } from "./evaluateText.ts";
export { type ImageDataOptions, imageDataOptions, imageLimits, sampleSheet } from "./imageData.ts";
export { images } from "./images.ts";
export { text } from "./text.ts";
