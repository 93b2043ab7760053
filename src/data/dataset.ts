/** The size of all images of a split. */
export interface ImageShape {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** Labelled images as bytes, or latent images as the numbers that they are, planar: [count, channels, height, width]. */
export interface ImageSplit extends ImageShape {
  readonly images: Uint8Array | Float32Array;
  readonly labels: Int32Array;
  readonly count: number;
}

/** A data set with its training and test part. */
export interface ImageDataset {
  readonly name: string;
  readonly classNames: readonly string[];
  readonly numClasses: number;
  /** Whether these are latents of an encoder: numbers to learn from, but nothing to look at. */
  readonly isLatent?: boolean;
  /** Of pixels in [0, 1], or of latent numbers, for each channel: what normalisation subtracts and divides by. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly train: ImageSplit;
  readonly test: ImageSplit;
}

/** The part of a data set that a trained model keeps. */
export interface ImageInfo {
  /** Normalisation of pixels: (x − mean)/std for each channel. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly name: string;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly numClasses: number;
  readonly classNames: readonly string[];
  readonly isLatent: boolean;
}
