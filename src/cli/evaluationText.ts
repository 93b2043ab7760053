import { accuracyText, type Evaluation } from "../experiments/index.ts";

/** An evaluation as lines for people. */
export function evaluationText(evaluation: Evaluation): string {
  const { units, crossEntropy } = evaluation;
  const levels = crossEntropy.map((level) => `${level.crossEntropy.toFixed(3)} at ${level.sigma} (${level.block})`);
  return [
    `test accuracy ${accuracyText(evaluation)}`,
    ...Object.entries(units).map(([name, accuracy]) => `  ${name} alone ${(100 * accuracy).toFixed(2)} %`),
    ...(levels.length > 0 ? [`cross-entropy by sigma: ${levels.join(", ")}`] : []),
  ].join("\n");
}
