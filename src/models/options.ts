import type { z } from "zod";
import { checkOptions, count, dropoutRate, type ImageData, option, positive, type TextData } from "../define/index.ts";
import { UsageError } from "../errors.ts";

/** Options that transformers have in common. */
export const transformerOptions = {
  width: option(count, { description: "width of the residual stream" }),
  numLayers: option(count, { flag: "layers", description: "layers" }),
  numHeads: option(count, { flag: "heads", description: "attention heads" }).default(4),
  /** Of a plain MLP; see {@link swigluWidth} for the gated one. */
  mlpWidth: option(count, { description: "width of the MLP", byDefault: "four times the network's" }).optional(),
  swigluWidth: option(count, { description: "width of the MLP", byDefault: "8/3 of the network's, in multiples of 32" }).optional(),
  /** Of either. */
  eitherWidth: option(count, {
    description: "width of the MLP",
    byDefault: "8/3 of the network's of a gated one, four times of others",
  }).optional(),
  dropout: option(dropoutRate, { description: "dropout rate" }).default(0),
};

/** The width of the conditioning on noise, or on time, of language models. */
export function condWidthOption(of: "noise" | "time") {
  return option(count, {
    description: `width of the ${of} conditioning`,
    byDefault: "the network's, at most 128",
    advanced: true,
  }).optional();
}

export function epsilonOption(norms: "layer" | "RMS" | "RMS or layer", byDefault: number): z.ZodDefault<z.ZodNumber> {
  return option(positive, { description: `epsilon of the ${norms} norms`, advanced: true }).default(byDefault);
}

export function rotaryBaseOption(byDefault: number): z.ZodDefault<z.ZodNumber> {
  return option(positive, { description: "base of the rotary positions", advanced: true }).default(byDefault);
}

/** Options with what follows from others filled in. */
export type Resolved<Options> = { readonly [Key in keyof Options]-?: Exclude<Options[Key], undefined> };

/** Sizes of images; 3 channels by default. */
export type ImageSizes = Omit<ImageData, "channels"> & Partial<Pick<ImageData, "channels">>;

/**
 * Options of a network on images: what the images are apart, and the rest checked, with defaults.
 *
 * @throws {UsageError} for unknown options and wrong values.
 */
export function splitOptions<Schema extends z.ZodObject>(
  name: string,
  schema: Schema,
  { imageSize, channels = 3, numClasses, ...options }: z.input<Schema> & ImageSizes,
): { readonly sizes: ImageData; readonly config: z.output<Schema> } {
  return { sizes: { imageSize, channels, numClasses }, config: checkOptions(schema, options, name) };
}

/** The same of a network on text. @throws {UsageError} for unknown options and wrong values. */
export function splitTextOptions<Schema extends z.ZodObject>(
  name: string,
  schema: Schema,
  { vocabSize, length, ...options }: z.input<Schema> & TextData,
): { readonly sizes: TextData; readonly config: z.output<Schema> } {
  return { sizes: { vocabSize, length }, config: checkOptions(schema, options, name) };
}

/** The default width of a gated MLP: 8/3 of the network's, in multiples of 32. */
export function swigluWidth(width: number): number {
  return 32 * Math.ceil(width / 12);
}

/** @throws {UsageError} unless the heads divide the width into even parts, as rotary positions need. */
export function checkRotaryHeads(name: string, width: number, numHeads: number): void {
  if (width % (2 * numHeads) === 0) return;
  throw new UsageError("numHeads", { width, numHeads }, `${name}: ${numHeads} heads must divide a width of ${width} into even parts.`);
}
