import { UsageError } from "../errors.ts";
import { concat, inTurn, split, type Tensor } from "../tensor/index.ts";

/** What a training step keeps of a network's layers, and how many items of the batch it brings through a layer at once. */
export interface LayerMemory {
  /** Keep only the input of each layer for the backward pass and compute the layer again there. */
  readonly checkpointing?: boolean;
  /**
   * Parts, at most as many as items, that the items of a batch are divided into. The backward pass of a layer takes one part after another, so
   * that what passes within it, several times its widest value, is there for one part at a time. The result is that of the
   * whole batch, but for dropout, which draws for each part.
   */
  readonly parts?: number;
}

/** Values of a batch, each [batch, …]. */
export interface BatchValues {
  /** What stages pass on. */
  readonly states: readonly Tensor[];
  /** What every stage sees as it is. */
  readonly items: readonly (Tensor | undefined)[];
}

/** A layer, or several that go together: states and items -> states of the same shapes. Items of the batch do not meet in it. */
export type Stage = (states: readonly Tensor[], items: readonly (Tensor | undefined)[]) => readonly Tensor[];

/**
 * States of a batch brought through stages one after another.
 *
 * @throws {UsageError} `parts` if the batch has fewer items than parts.
 */
export function throughStages(
  stages: readonly Stage[],
  { states, items }: BatchValues,
  { checkpointing = false, parts = 1 }: LayerMemory = {},
): readonly Tensor[] {
  const batch = states[0]!.shape[0]!;
  if (parts > batch) {
    const message = `--parts ${parts}: a batch of ${batch} has at most ${batch} parts. Lower --parts, or raise --batch.`;
    throw new UsageError("parts", { parts, batch }, message);
  }
  const bounds = Array.from({ length: parts + 1 }, (_, i) => Math.floor((i * batch) / parts));
  const sizes = bounds.slice(1).map((end, i) => end - bounds[i]!);
  const cut = (x: Tensor | undefined): readonly (Tensor | undefined)[] => (x === undefined ? sizes.map(() => x) : split(x, sizes, 0));
  const [cutStates, cutItems] = [states.map(cut) as (readonly Tensor[])[], items.map(cut)];
  const start = sizes.map((_, part) => cutStates.map((pieces) => pieces[part]!));
  const end = stages.reduce<readonly (readonly Tensor[])[]>(
    (before, stage) =>
      inTurn(
        before.map(
          (own, part) => () =>
            stage(
              own,
              cutItems.map((pieces) => pieces[part]),
            ),
        ),
        { isRecomputed: checkpointing },
      ),
    start,
  );
  return states.map((_, i) =>
    concat(
      end.map((own) => own[i]!),
      0,
    ),
  );
}
