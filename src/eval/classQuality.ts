import { UsageError } from "../errors.ts";

/** A bin of confidence: predictions whose largest probability lies in it. */
export interface ReliabilityBin {
  readonly count: number;
  /** Mean of the largest probability. */
  readonly confidence: number;
  /** Share of them that are right. */
  readonly accuracy: number;
}

/** How good the predictions of a classifier are. */
export interface ClassQuality {
  /** Shares of items whose class is the likeliest, and among the five likeliest; ties count as they are ordered. */
  readonly top1: number;
  readonly top5: number;
  /** The mean over classes of F1 = 2 TP/(2 TP + FP + FN); classes that occur neither as label nor as prediction are left out. */
  readonly macroF1: number;
  /** F1 of each class; NaN for those. */
  readonly f1: readonly number[];
  /** Expected calibration error (Guo et al. 2017): Σ share of the bin · |accuracy − confidence|. */
  readonly calibrationError: number;
  /** Bins of equal width of the largest probability, the lowest first; those without predictions are left out. */
  readonly reliability: readonly ReliabilityBin[];
  /** confusion[label][prediction], counts. */
  readonly confusion: readonly (readonly number[])[];
}

export interface ClassQualityOptions {
  readonly numClasses: number;
  /** Bins of confidence, 15 by default. */
  readonly bins?: number;
}

/** Gathers predictions, item by item. */
export class ClassQualityMeter {
  readonly #numClasses: number;
  readonly #confusion: number[][];
  readonly #bins: { count: number; confidence: number; right: number }[];
  #inTop5 = 0;
  #count = 0;

  constructor({ numClasses, bins = 15 }: ClassQualityOptions) {
    this.#numClasses = numClasses;
    this.#confusion = Array.from({ length: numClasses }, () => new Array<number>(numClasses).fill(0));
    this.#bins = Array.from({ length: bins }, () => ({ count: 0, confidence: 0, right: 0 }));
  }

  /**
   * @param probabilities of the classes.
   * @throws {UsageError} if they are not one for each class, or the label is no class.
   */
  add(probabilities: ArrayLike<number>, label: number): void {
    if (probabilities.length !== this.#numClasses || !(label >= 0 && label < this.#numClasses)) {
      const message = `ClassQualityMeter: ${probabilities.length} probabilities and the label ${label}; there are ${this.#numClasses} classes.`;
      throw new UsageError("badPrediction", { label, length: probabilities.length }, message);
    }
    const own = probabilities[label]!;
    let [best, before] = [0, 0];
    for (let k = 0; k < this.#numClasses; k++) {
      const p = probabilities[k]!;
      if (p > probabilities[best]!) best = k;
      if (p > own || (p === own && k < label)) before++;
    }
    const confidence = probabilities[best]!;
    const bin = this.#bins[Math.min(this.#bins.length - 1, Math.max(0, Math.ceil(confidence * this.#bins.length) - 1))]!;
    this.#count++;
    this.#confusion[label]![best]!++;
    if (before < 5) this.#inTop5++;
    bin.count++;
    bin.confidence += confidence;
    if (best === label) bin.right++;
  }

  /** @throws {UsageError} if nothing was added. */
  result(): ClassQuality {
    const total = this.#count;
    if (total === 0) throw new UsageError("noPredictions", {}, "ClassQualityMeter: no predictions were added.");
    const confusion = this.#confusion;
    const right = confusion.map((row, k) => row[k]!);
    const f1 = right.map((hits, k) => {
      const labelled = confusion[k]!.reduce((sum, count) => sum + count, 0);
      const predicted = confusion.reduce((sum, row) => sum + row[k]!, 0);
      return (2 * hits) / (labelled + predicted);
    });
    const known = f1.filter((value) => !Number.isNaN(value));
    const filled = this.#bins.filter(({ count }) => count > 0);
    return {
      top1: right.reduce((sum, hits) => sum + hits, 0) / total,
      top5: this.#inTop5 / total,
      macroF1: known.reduce((sum, value) => sum + value, 0) / known.length,
      f1,
      calibrationError: filled.reduce((sum, bin) => sum + Math.abs(bin.right - bin.confidence), 0) / total,
      reliability: filled.map(({ count, confidence, right: hits }) => ({ count, confidence: confidence / count, accuracy: hits / count })),
      confusion: confusion.map((row) => [...row]),
    };
  }
}
