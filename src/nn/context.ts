import { fold, type Key } from "../random.ts";
import { cast, mul, random, type Tensor } from "../tensor/index.ts";
import type { PatternOf } from "./attentionPattern.ts";
import { bernoulliSampler } from "./distributions.ts";

/** Inputs of a layer beside the state: the noise conditioning, and in training the randomness of dropout. */
export interface Context {
  /** Conditioning of the whole network on the noise level, [batch, condWidth]; undefined where there is none. */
  readonly condition: Tensor | undefined;
  /** A fresh key at every call while training; undefined at inference, where dropout does nothing. */
  readonly nextKey: (() => Key) | undefined;
  /**
   * The pattern of each attention layer, where it is not the network's own: behind a cache, or where streams of a
   * sequence stand side by side.
   */
  readonly patternOf?: PatternOf | undefined;
  /** Of the tokens that a stem embeds, int32 [rows, tokens] with one row for all or one for each item; 0, 1, 2, … where undefined. */
  readonly positions?: Tensor | undefined;
}

/** The context of inference without conditioning. */
export const plainContext: Context = { condition: undefined, nextKey: undefined };

/** A context for training whose dropout masks derive from `key` in the order of tracing. */
export function trainingContext(key: Key, condition?: Tensor): Context {
  let count = 0;
  return { condition, nextKey: () => fold(key, count++) };
}

/** Whether dropout at this rate does anything here. */
export function hasDropout(rate: number, { nextKey }: Context): boolean {
  return rate > 0 && nextKey !== undefined;
}

/** Dropout (Srivastava et al. 2014): in training each element is zero with probability `rate`, the others are divided by 1 − rate. */
export function dropout(x: Tensor, rate: number, context: Context): Tensor {
  if (!hasDropout(rate, context)) return x;
  const kept = random(context.nextKey!(), bernoulliSampler(1 - rate), x.shape, "bool");
  return mul(x, mul(cast(kept, "float32"), 1 / (1 - rate)));
}
