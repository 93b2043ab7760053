import { type Key, uniformAt } from "../random.ts";
import {
  autoContrast,
  brightness,
  type Canvas,
  colour,
  contrast,
  equalize,
  posterize,
  rotate,
  sharpness,
  shearX,
  shearY,
  solarize,
  translateX,
  translateY,
} from "./imageOperations.ts";

/**
 * One of RandAugment's operations. `amount` is of the strength from 0 (none) to 1 (most) and changes its sign half of
 * the time if `isSigned`.
 */
export interface Operation {
  readonly name: string;
  readonly isSigned: boolean;
  amount(strength: number, canvas: Canvas): number;
  apply(canvas: Canvas, amount: number): void;
}

const none = (): number => 0;
const upTo = (most: number) => (strength: number) => most * strength;

/** torchvision's 14 operations and how strong each gets, in its order. */
export const operations: readonly Operation[] = [
  { name: "identity", isSigned: false, amount: none, apply: () => {} },
  { name: "shearX", isSigned: true, amount: upTo(0.3), apply: shearX },
  { name: "shearY", isSigned: true, amount: upTo(0.3), apply: shearY },
  { name: "translateX", isSigned: true, amount: (strength, { width }) => (150 / 331) * width * strength, apply: translateX },
  { name: "translateY", isSigned: true, amount: (strength, { height }) => (150 / 331) * height * strength, apply: translateY },
  { name: "rotate", isSigned: true, amount: upTo(30), apply: rotate },
  { name: "brightness", isSigned: true, amount: upTo(0.9), apply: (canvas, amount) => brightness(canvas, 1 + amount) },
  { name: "colour", isSigned: true, amount: upTo(0.9), apply: (canvas, amount) => colour(canvas, 1 + amount) },
  { name: "contrast", isSigned: true, amount: upTo(0.9), apply: (canvas, amount) => contrast(canvas, 1 + amount) },
  { name: "sharpness", isSigned: true, amount: upTo(0.9), apply: (canvas, amount) => sharpness(canvas, 1 + amount) },
  { name: "posterize", isSigned: false, amount: (strength) => 8 - Math.round(4 * strength), apply: posterize },
  { name: "solarize", isSigned: false, amount: (strength) => 255 * (1 - strength), apply: solarize },
  { name: "autoContrast", isSigned: false, amount: none, apply: autoContrast },
  { name: "equalize", isSigned: false, amount: none, apply: equalize },
];

export interface RandAugmentOptions {
  /** Operations on one image, drawn with replacement. */
  readonly numOperations?: number;
  /** From 0 to 30. */
  readonly magnitude?: number;
  /** Operations to draw from; all 14 by default. */
  readonly from?: readonly Operation[];
}

/** The first draw that RandAugment takes from an image's key; those before it belong to crop and flip. */
const firstDraw = 3;

/**
 * RandAugment: each operation is drawn uniformly, all at one magnitude. Defaults are torchvision's: 2 operations,
 * magnitude 9 on its scale of 31 steps, nearest interpolation, black outside.
 *
 * @see Cubuk et al. 2020 (arXiv 1909.13719); torchvision.transforms.RandAugment.
 */
export function randAugment(
  canvas: Canvas,
  key: Key,
  { numOperations = 2, magnitude = 9, from = operations }: RandAugmentOptions = {},
): void {
  for (let n = 0; n < numOperations; n++) {
    const draw = firstDraw + 2 * n;
    const operation = from[Math.floor(uniformAt(key, draw) * from.length)]!;
    const amount = operation.amount(magnitude / 30, canvas);
    operation.apply(canvas, operation.isSigned && uniformAt(key, draw + 1) < 0.5 ? -amount : amount);
  }
}
