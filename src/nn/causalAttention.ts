import { attentionSum, concat, softmax } from "../tensor/index.ts";
import type { AttentionPattern } from "./attentionPattern.ts";
import { groupMask, groupsRead, inQueryChunks, scoresSeen } from "./queryChunks.ts";

/**
 * Every token attends to itself and those before it; with `groupSize`, behind the start, all of its group of tokens
 * and of the groups before.
 */
export function causalAttention(length: number, groupSize = 1): AttentionPattern {
  const groups = groupsRead(length, groupSize);
  const seenBy = (to: number): number => Math.min(length, to + groupSize - 1); // of the last query's group
  return {
    attend: (query, { key, value }, { numHeads, change }) =>
      inQueryChunks({ numHeads, groupSize, own: [query], seen: [key, value], seenBy }, ([own], [k, v], from) => {
        const mask = groupMask(groups.subarray(from, from + own!.shape[1]!), groups.subarray(from, k!.shape[1]!), "at most");
        const weights = softmax(concat(scoresSeen(own!, k!, from, mask, numHeads), 3));
        return attentionSum(change?.(weights) ?? weights, v!, query.shape[2]! / numHeads);
      }),
  };
}
