import { checkpoint, concat, split, type Tensor } from "../tensor/index.ts";

/** Numbers between input and output of a part, at most: 4 MB. */
const partSize = 2 ** 20;

/**
 * `f` of tensors [batch, ...], a few items at a time where it would make `size` numbers or more of each kind between its inputs and its result, as the logits of a large vocabulary are: each part is made again in the backward
 * pass, so that those of all items are never there together.
 *
 * @param size numbers that f makes for the whole batch.
 */
export function inParts(inputs: readonly Tensor[], size: number, f: (...inputs: Tensor[]) => Tensor): Tensor {
  const batch = inputs[0]!.shape[0]!;
  const parts = Math.min(batch, Math.ceil(size / partSize));
  if (parts <= 1) return f(...inputs);
  const sizes = Array.from({ length: parts }, (_, i) => Math.floor(((i + 1) * batch) / parts) - Math.floor((i * batch) / parts));
  const cut = inputs.map((x) => split(x, sizes, 0));
  return concat(
    sizes.map((_, i) => checkpoint(f)(...cut.map((pieces) => pieces[i]!))),
    0,
  );
}
