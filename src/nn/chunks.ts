import { checkpoint, concat, split, type Tensor } from "../tensor/index.ts";

/** Numbers between input and output of a chunk, at most: 4 MB. */
const chunkSize = 2 ** 20;

/** Arguments of a function of single tokens. */
export interface TokenRows {
  /** Each [batch, tokens, …]. */
  readonly tokens: readonly Tensor[];
  /** Values that all tokens of an item share, each [batch, …]. */
  readonly items?: readonly Tensor[];
}

/**
 * `f` of tokens, a few at a time where it would make `size` numbers or more of each kind between its inputs and its
 * result [batch, tokens, …], as the logits of a large vocabulary are: each chunk is made again in the backward pass,
 * so that those of all tokens are never there together. Items are divided, or where there are too few of them their
 * tokens.
 *
 * @param size numbers that f makes for the whole batch.
 */
export function inChunks({ tokens, items = [] }: TokenRows, size: number, f: (tokens: Tensor[], items: Tensor[]) => Tensor): Tensor {
  const wanted = Math.ceil(size / chunkSize);
  const axis = wanted <= tokens[0]!.shape[0]! ? 0 : 1;
  const extent = tokens[0]!.shape[axis]!;
  const parts = Math.min(extent, wanted);
  if (parts <= 1) return f([...tokens], [...items]);
  const sizes = Array.from({ length: parts }, (_, i) => Math.floor(((i + 1) * extent) / parts) - Math.floor((i * extent) / parts));
  const cutTokens = tokens.map((x) => split(x, sizes, axis));
  const cutItems = items.map((x) => (axis === 0 ? split(x, sizes, 0) : sizes.map(() => x)));
  const one = checkpoint((...all: Tensor[]) => f(all.slice(0, tokens.length), all.slice(tokens.length)));
  return concat(
    sizes.map((_, i) => one(...[...cutTokens, ...cutItems].map((pieces) => pieces[i]!))),
    axis,
  );
}
