import type { ImageDataset, ReadLimits } from "../data/index.ts";
import type { Progress } from "./imageCollection.ts";

export interface LoadOptions {
  /** Called while image folders and archives are decoded. */
  readonly onProgress?: Progress | undefined;
  /** Where large archives are kept decoded, so that the next run starts at once; $XDG_CACHE_HOME/dblocks by default. */
  readonly cacheFolder?: string;
  /** Images are scaled to this short side and cropped to a square; by default they must have one size. */
  readonly imageSize?: number | undefined;
  /** Share of the images of each class that is held out where there is no test part; 0.1 by default. */
  readonly valSplit?: number | undefined;
  /** The column of the classes, in tables. */
  readonly label?: string | undefined;
  /** Bounds other than {@link readLimits}. */
  readonly limits?: Partial<ReadLimits> | undefined;
  /** Called once with what was passed over, such as files that are no images. */
  readonly onNotice?: ((message: string) => void) | undefined;
}

/** Where data of a format are read from. */
export interface FormatSource {
  readonly onProgress: Progress | undefined;
  readonly cacheFolder: string;
  readonly imageSize: number | undefined;
  readonly valSplit: number;
  readonly label: string | undefined;
  readonly limits: ReadLimits;
  readonly onNotice: (message: string) => void;
  /** Names in the folder; none of a file. */
  readonly files: readonly string[];
}

/** A way in which images with classes lie on disk, as a value: see {@link addImageFormat}. */
export interface ImageFormat {
  readonly name: string;
  /** For help and errors: "a folder with CIFAR-10's binary files". */
  readonly description: string;
  /** @param files names in the folder; undefined if the path is a file. */
  recognises(path: string, files: readonly string[] | undefined): boolean | Promise<boolean>;
  /** @throws {DataError} that names the file, if one is missing or damaged. */
  load(path: string, source: FormatSource): Promise<ImageDataset>;
}
