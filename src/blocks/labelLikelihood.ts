import { add, div, matmul, square, type Tensor } from "../tensor/index.ts";
import type { Targets } from "./targets.ts";

/**
 * Whether a block is given what the noisy target says of the class. `learned`: the network finds out. `exact`: z =
 * e_k + σε has the known log-likelihood z·e_k/σ² (rows of one length), which is added to the logits; since z and the
 * input are independent given the class, the network's own part is then left with what the *input* says.
 */
export type LabelLikelihood = "learned" | "exact";

/** Class scores of one block, [batch, …, classes]: by the input, and by the input and the noisy target together. */
export interface Scores {
  readonly evidence: Tensor;
  readonly logits: Tensor;
}

/**
 * Evidence [batch, …, classes] together with the log-likelihood of the noisy target.
 *
 * @param z [batch, …, width]
 * @param sigma one number for each item, of the rank of z.
 */
export function scoresOf(
  evidence: Tensor,
  z: Tensor,
  sigma: Tensor,
  { targets, labelLikelihood }: { readonly targets: Targets; readonly labelLikelihood: LabelLikelihood },
): Scores {
  if (labelLikelihood === "learned") return { evidence, logits: evidence };
  const likelihood = div(matmul(z, targets.table, { transB: true }), square(sigma));
  return { evidence, logits: add(evidence, likelihood) };
}
