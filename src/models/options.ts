import type { z } from "zod";
import { checkOptions, type ImageData } from "../define/index.ts";

/** Options with what follows from others filled in. */
export type Resolved<Options> = { readonly [Key in keyof Options]-?: Exclude<Options[Key], undefined> };

/** What a network knows of images; 3 channels by default. */
export type ImageSizes = Omit<ImageData, "channels"> & Partial<Pick<ImageData, "channels">>;

/** Options of a network on images: what the images are apart, and the rest checked, with defaults. @throws {UsageError} for unknown options and wrong values. */
export function splitOptions<Schema extends z.ZodObject>(
  name: string,
  schema: Schema,
  { imageSize, channels = 3, numClasses, ...options }: z.input<Schema> & ImageSizes,
): { readonly sizes: ImageData; readonly config: z.output<Schema> } {
  return { sizes: { imageSize, channels, numClasses }, config: checkOptions(schema, options, name) };
}
