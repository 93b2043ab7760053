import { cast, div, equal, mean, mul, oneHot, reduceMax, reduceSum, type Tensor } from "../tensor/index.ts";

/** The share of items whose label has the highest logit; one of k that tie counts 1/k. [batch, classes] and int32 [batch] -> scalar. */
export function classAccuracy(logits: Tensor, labels: Tensor): Tensor {
  const highest = cast(equal(logits, reduceMax(logits, -1, true)), "float32");
  const hits = reduceSum(mul(highest, oneHot(labels, logits.shape.at(-1)!)), -1);
  return mean(div(hits, reduceSum(highest, -1)));
}
