import { add, attention, concat, constant, mul, type Tensor } from "../tensor/index.ts";
import type { Part, Parts } from "./module.ts";

export interface Heads {
  /** Of the queries; keys and values may have fewer. */
  readonly numHeads: number;
  /** A function that the weights pass through, such as dropout. */
  readonly change?: ((weights: Tensor) => Tensor) | undefined;
}

/** Keys and values of some tokens in one attention layer, each [batch, tokens, key heads · d], keys rotated by their positions. */
export interface KeyValue {
  readonly key: Tensor;
  readonly value: Tensor;
}

/** The tokens that attend to each other, and the positions of tokens. */
export interface AttentionPattern {
  /** Of each token, int32 [rows, tokens] with one row for all or one for each item; 0, 1, 2, … where undefined. */
  readonly positions?: Tensor | undefined;
  /** Query [batch, tokens, heads · d], keys and values of the same tokens -> [batch, tokens, heads · d]. */
  attend(query: Tensor, own: KeyValue, heads: Heads): Tensor;
}

/** An attention layer as caches know it: the module itself tells it from others. */
export interface AttentionLayer {
  readonly parts: Parts;
  /** Width of its keys, and of its values. */
  readonly keyWidth: number;
}

/** Chooses the pattern of an attention layer, `own` being the one that the network has. */
export type PatternOf = (layer: AttentionLayer, own: AttentionPattern) => AttentionPattern;

/** The attention layers below `part`, in the order of the object keys: how caches number them. */
export function attentionLayers(part: Part): readonly AttentionLayer[] {
  if (part === undefined || "origin" in part) return [];
  if ("keyWidth" in part) return [part as AttentionLayer];
  const children = Array.isArray(part) ? part : (part as { parts: Parts }).parts;
  return Object.values(children as Parts).flatMap(attentionLayers);
}

/** Every token attends to every token. */
export const fullAttention: AttentionPattern = { attend: (query, { key, value }, heads) => attention(query, key, value, heads) };

/** The same pattern; `record` is called with the keys and values of the tokens. */
export function recorded(pattern: AttentionPattern, record: (own: KeyValue) => void): AttentionPattern {
  return {
    ...pattern,
    attend: (query, own, heads) => {
      record(own);
      return pattern.attend(query, own, heads);
    },
  };
}

/** Added to the score of a key that is not seen: its weight is 0 to the last bit. */
export const unseen = -1e9;

/**
 * Tokens that come after those of a cache: they attend to its slots where `isFilled`, float32 [slots], is 1, and of
 * their own group to all tokens, or to those where `isFresh`, float32 [tokens], is 1.
 */
export function cachedAttention(past: KeyValue, isFilled: Tensor, positions: Tensor, isFresh?: Tensor): AttentionPattern {
  const hidden = (isSeen: Tensor): Tensor => mul(add(isSeen, -1), -unseen); // 0 where seen
  return {
    positions,
    attend: (query, { key, value }, heads) => {
      const own = isFresh === undefined ? constant(new Float32Array(key.shape[1]!), [key.shape[1]!]) : hidden(isFresh);
      const all = { key: concat([past.key, key], 1), value: concat([past.value, value], 1) };
      return attention(query, all.key, all.value, { ...heads, mask: concat([hidden(isFilled), own], 0) });
    },
  };
}
