import { z } from "zod";
import { localTokenUpdates, localUpdates } from "../baselines/index.ts";
import { classifierKinds, count, defineMethod, type MethodDefinition, nextTokenKind, on, option } from "../define/index.ts";

const localOptions = z.strictObject({
  numBlocks: option(count, { flag: "blocks", description: "blocks of layers, each with a loss of its own" }).default(3),
  layersPerBlock: option(z.array(count).readonly(), {
    flag: "layers-per-block",
    value: "list",
    description: "layers of each block, e.g. 3,6,3",
    byDefault: "equal shares",
  }).optional(),
});

/** Blocks that use depth: each learns on what the blocks before it give at this step, and adds to their answer. */
export const localUpdatesMethod: MethodDefinition = defineMethod({
  name: "local-updates",
  summary: "one forward pass, a local update for each block: gradients stop at the seams, each block adds to the answer of those before",
  fits: [
    ...classifierKinds.map((kind) => on(kind, { schema: localOptions, build: ({ network }, options) => localUpdates(network(), options) })),
    on(nextTokenKind, { schema: localOptions, build: ({ network }, options) => localTokenUpdates(network(), options) }),
  ],
});
