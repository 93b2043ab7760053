import type {
  ClassifierArchitecture,
  ImageArchitecture,
  LanguageArchitecture,
  NoPropNetwork,
  RecurrentArchitecture,
  TokenArchitecture,
} from "../nn/index.ts";

/** Sizes of images. */
export interface ImageData {
  readonly channels: number;
  /** Side of the square images, in pixels. */
  readonly imageSize: number;
  readonly numClasses: number;
}

/** Sizes of text. */
export interface TextData {
  readonly vocabSize: number;
  /** Tokens of a sequence. */
  readonly length: number;
}

/**
 * The inputs and outputs of a network: a value that models and methods share. A model is of one kind; a method says on which
 * kinds it trains.
 *
 * @typeParam Built what a model of this kind builds.
 * @typeParam Shape what it must know of the data.
 */
export interface NetworkKind<Built, Shape> {
  readonly name: string;
  /** Never set: for the types. */
  readonly built?: Built;
  readonly shape?: Shape;
}

export function networkKind<Built, Shape>(name: string): NetworkKind<Built, Shape> {
  return Object.freeze({ name });
}

/** Images to classes, in residual layers that take noise conditioning. */
export const classifierKind: NetworkKind<ClassifierArchitecture, ImageData> = networkKind("image classifier");
/** Images to classes, in layers that take none. */
export const plainClassifierKind: NetworkKind<ClassifierArchitecture, ImageData> = networkKind("classifier without noise conditioning");
/** Both: for methods that need no noise conditioning. */
export const classifierKinds = [classifierKind, plainClassifierKind] as const;
/** Noisy images to images. */
export const imageDenoiserKind: NetworkKind<ImageArchitecture, ImageData> = networkKind("image generator");
/** Tokens, some of them masked, to tokens. */
export const maskedTokensKind: NetworkKind<TokenArchitecture, TextData> = networkKind("masked text model");
/** Tokens to the next token. */
export const nextTokenKind: NetworkKind<LanguageArchitecture, TextData> = networkKind("language model");
/** Tokens to the next token, by the same layers again and again. */
export const recurrentDepthKind: NetworkKind<RecurrentArchitecture, TextData> = networkKind("recurrent-depth language model");

/** NoProp's network: paths for the image and the noisy label. */
export interface NoPropModel {
  readonly network: NoPropNetwork;
  /** The embedding of classes, and its width. */
  readonly embedding: "one-hot" | "learned" | "prototype";
  readonly embeddingWidth: number;
  /** The same network with one layer for each of so many blocks. */
  layered(numLayers: number): ClassifierArchitecture;
}
export const noPropKind: NetworkKind<NoPropModel, ImageData> = networkKind("classifier of image and noisy label");
