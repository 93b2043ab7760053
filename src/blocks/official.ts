import type { BlocksOptions } from "./convert.ts";

/**
 * Every choice as the official DiffusionBlocks code makes it: one stem, head and noise embedding for all blocks, a learned label table, the
 * head reading cOut F + cSkip z, weights that act by their batch mean. With `vit({ labelToken: "class" })` this is its network.
 *
 * @example convert(vit(vitOfficialCifar100), { partition: partition({ numBlocks: 3 }), ...officialChoices })
 */
export const officialChoices: Omit<BlocksOptions, "partition"> = Object.freeze({
  shared: "together",
  targetEmbedding: "learned",
  lossWeighting: "batch-mean",
  headInput: "mixed",
  labelLikelihood: "learned",
  initialGate: 0,
  sampling: Object.freeze({ numSteps: undefined, grid: "equi-probability", bridge: "soft", readout: "last" }),
});
