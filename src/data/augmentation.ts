import { UsageError } from "../errors.ts";

/**
 * Augmentation of training images, as a list or with commas: `["flip", "crop:4", "randaugment:2,9", "cutout:8", "mixup:0.2",
 * "label-smoothing:0.1"]`. Whatever order they are written in, they are applied in this one. `none`, `flip-crop` (flip,crop:4) and
 * `randaugment` alone (flip,crop:4,randaugment:2,9) are names for common lists.
 */
export type Augmentation = string | readonly string[];

/** What a list of augmentations asks for. */
export interface AugmentationPlan {
  /** Mirrored half of the time. */
  readonly flip: boolean;
  /** A random crop out of so many pixels of black padding. */
  readonly crop: number;
  readonly randAugment: { readonly numOperations: number; readonly magnitude: number } | undefined;
  /** Side of a square that is set to the mean, with its middle anywhere in the image; 0 for none. (DeVries & Taylor 2017) */
  readonly cutout: number;
  /** α of mixup's Beta(α, α); 0 for none. (Zhang et al. 2018) */
  readonly mixup: number;
  /** Share of the labels that are drawn anew from all classes. (Szegedy et al. 2016) */
  readonly labelSmoothing: number;
}

const none: AugmentationPlan = { flip: false, crop: 0, randAugment: undefined, cutout: 0, mixup: 0, labelSmoothing: 0 };

/** What each is called, the numbers behind its name, and what it does. */
interface Kind {
  readonly usage: string;
  /** @returns undefined if the numbers do not fit. */
  plan(numbers: readonly number[]): Partial<AugmentationPlan> | undefined;
}

const isCount = (value: number | undefined, most: number): value is number => Number.isInteger(value) && value! >= 1 && value! <= most;

const kinds: Readonly<Record<string, Kind>> = {
  flip: { usage: "flip", plan: (numbers) => (numbers.length === 0 ? { flip: true } : undefined) },
  crop: {
    usage: "crop:PIXELS",
    plan: ([crop = 4, ...more]) => (more.length === 0 && isCount(crop, 256) ? { crop } : undefined),
  },
  randaugment: {
    usage: "randaugment:OPERATIONS,MAGNITUDE (of 30)",
    plan: ([numOperations = 2, magnitude = 9, ...more]) =>
      more.length === 0 && isCount(numOperations, 20) && magnitude >= 0 && magnitude <= 30
        ? { randAugment: { numOperations, magnitude } }
        : undefined,
  },
  cutout: { usage: "cutout:PIXELS", plan: ([cutout, ...more]) => (more.length === 0 && isCount(cutout, 4096) ? { cutout } : undefined) },
  mixup: {
    usage: "mixup:ALPHA (above 0, up to 1)",
    plan: ([mixup, ...more]) => (more.length === 0 && mixup !== undefined && mixup > 0 && mixup <= 1 ? { mixup } : undefined),
  },
  "label-smoothing": {
    usage: "label-smoothing:SHARE (below 1)",
    plan: ([share, ...more]) =>
      more.length === 0 && share !== undefined && share > 0 && share < 1 ? { labelSmoothing: share } : undefined,
  },
};

const common: Readonly<Record<string, readonly string[]>> = {
  none: [],
  "flip-crop": ["flip", "crop:4"],
  randaugment: ["flip", "crop:4", "randaugment:2,9"],
};

/** How each augmentation is written, for help and messages. */
export const augmentationUsage: readonly string[] = ["none", ...Object.values(kinds).map(({ usage }) => usage)];

/**
 * The plan of a list of augmentations.
 *
 * @throws {UsageError} `augmentation`: for a name that is none, numbers that do not fit, or one that is given twice.
 */
export function augmentationPlan(augmentation: Augmentation): AugmentationPlan {
  const list = typeof augmentation === "string" ? listOf(augmentation.trim()) : augmentation;
  let plan = none;
  const seen = new Set<string>();
  for (const one of list) {
    const [name = "", numbers] = one.trim().split(":");
    const kind = Object.hasOwn(kinds, name) ? kinds[name]! : undefined;
    const part = kind?.plan(
      numbers === undefined ? [] : numbers.split(",").map((digits) => (digits.trim() === "" ? Number.NaN : Number(digits))),
    );
    if (part === undefined || seen.has(name)) {
      const what = kind === undefined ? "there is no such one" : part === undefined ? `expected is ${kind.usage}` : "it is given twice";
      const message = `Augmentation "${one.slice(0, 60)}": ${what}. Known: ${augmentationUsage.join("; ")}. For example: flip,crop:4,cutout:8`;
      throw new UsageError("augmentation", { augmentation: one.slice(0, 60) }, message);
    }
    seen.add(name);
    plan = { ...plan, ...part };
  }
  return plan;
}

/** A common list by its name, else the parts between commas; a number belongs to the part before it. */
function listOf(text: string): readonly string[] {
  return Object.hasOwn(common, text) ? common[text]! : text.split(/,(?=\s*[a-z])/);
}
