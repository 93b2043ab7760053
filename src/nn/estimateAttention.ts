import {
  add,
  attentionScores,
  attentionSum,
  concat,
  mul,
  reduceSum,
  reshape,
  softmax,
  split,
  type Tensor,
  transpose,
} from "../tensor/index.ts";
import type { AttentionPattern, KeyValue } from "./attentionPattern.ts";
import { groupMask, groupsRead, inQueryChunks, scoresSeen } from "./queryChunks.ts";

/**
 * Estimates of tokens beside the context stream of clean tokens, whose keys and values are `context`: estimate i
 * attends to those of its own group, and in the context to the start and the groups before.
 *
 * @see Block Diffusion (Arriola et al. 2025), and DiffusionBlocks, Appendix E.4: noisy i sees noisy i and clean j <
 *   i.
 */
export function estimateAttention(context: KeyValue, groupSize = 1): AttentionPattern {
  const length = context.key.shape[1]!;
  const groups = Int32Array.from({ length }, (_, i) => Math.floor(i / groupSize));
  const before = groupsRead(length, groupSize);
  return {
    attend: (query, own, { numHeads, change }) => {
      const headWidth = query.shape[2]! / numHeads;
      const tensors = { numHeads, groupSize, own: [query, own.key, own.value], seen: [context.key, context.value] };
      return inQueryChunks(tensors, ([part, key, value], [contextKey, contextValue], from) => {
        const [queries, keys] = [part!.shape[1]!, contextKey!.shape[1]!];
        const mask = groupMask(groups.subarray(from, from + queries), before.subarray(from, keys), "less");
        const ofGroup = ownScores(part!, key!, numHeads, groupSize);
        const weights = softmax(concat([...scoresSeen(part!, contextKey!, from, mask, numHeads), ofGroup], 3)); // [batch, heads, queries, keys + group]
        const [ofContext, ofOwn] = split(change?.(weights) ?? weights, [keys, groupSize], 3) as [Tensor, Tensor];
        return add(attentionSum(ofContext, contextValue!, headWidth), ownSum(ofOwn, value!, headWidth, groupSize));
      });
    },
  };
}

/** Scores within each group: [batch, heads, tokens, groupSize]. */
function ownScores(query: Tensor, key: Tensor, numHeads: number, groupSize: number): Tensor {
  const [batch, length, width] = query.shape as [number, number, number];
  const headWidth = width / numHeads;
  const groups = length / groupSize;
  const [q, k] = [query, spread(key, numHeads, headWidth)];
  if (groupSize === 1) {
    const products = reduceSum(reshape(mul(mul(q, k), 1 / Math.sqrt(headWidth)), [batch, length, numHeads, headWidth]), -1, true);
    return transpose(products, [0, 2, 1, 3]);
  }
  const scores = attentionScores(reshape(q, [batch * groups, groupSize, width]), reshape(k, [batch * groups, groupSize, width]), {
    numHeads,
  });
  return joinGroups(scores, batch);
}

/** Values of each group summed by weights [batch, heads, tokens, groupSize]. */
function ownSum(weights: Tensor, value: Tensor, headWidth: number, groupSize: number): Tensor {
  const [batch, numHeads, length] = weights.shape as [number, number, number, number];
  const width = numHeads * headWidth;
  const v = spread(value, numHeads, headWidth);
  if (groupSize === 1)
    return reshape(mul(transpose(weights, [0, 2, 1, 3]), reshape(v, [batch, length, numHeads, headWidth])), [batch, length, width]);
  const groups = length / groupSize;
  const inGroups = transpose(reshape(weights, [batch, numHeads, groups, groupSize, groupSize]), [0, 2, 1, 3, 4]);
  const sums = attentionSum(
    reshape(inGroups, [batch * groups, numHeads, groupSize, groupSize]),
    reshape(v, [batch * groups, groupSize, width]),
    headWidth,
  );
  return reshape(sums, [batch, length, width]);
}

/** [batch · groups, heads, groupSize, groupSize] -> [batch, heads, groups · groupSize, groupSize] */
function joinGroups(scores: Tensor, batch: number): Tensor {
  const [rows, numHeads, groupSize] = scores.shape as [number, number, number, number];
  const groups = rows / batch;
  const byItem = transpose(reshape(scores, [batch, groups, numHeads, groupSize, groupSize]), [0, 2, 1, 3, 4]);
  return reshape(byItem, [batch, numHeads, groups * groupSize, groupSize]);
}

/** Key heads, each repeated for the query heads of its group: [batch, tokens, key heads · d] -> [batch, tokens, heads · d]. */
function spread(x: Tensor, numHeads: number, headWidth: number): Tensor {
  const [batch, length, width] = x.shape as [number, number, number];
  const keyHeads = width / headWidth;
  if (keyHeads === numHeads) return x;
  const repeated = concat(
    Array.from({ length: numHeads / keyHeads }, () => reshape(x, [batch, length, keyHeads, 1, headWidth])),
    3,
  );
  return reshape(repeated, [batch, length, numHeads * headWidth]);
}
