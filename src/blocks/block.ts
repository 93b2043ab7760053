import {
  type Architecture,
  adaLN,
  type Context,
  layerParameters,
  type Network,
  namedParameters,
  noiseEmbedding,
  throughLayers,
} from "../nn/index.ts";
import { add, div, matmul, mul, reshape, square, type Tensor } from "../tensor/index.ts";
import type { NoiseLevels } from "./levels.ts";
import type { Targets } from "./targets.ts";

/** What the head reads: the features mixed with the noisy target, cOut F + cSkip z (the official code), or the features alone. */
export type HeadInput = "mixed" | "features";

/**
 * What the noisy target says of the class. `learned`: the network finds out. `exact`: z = e_k + σε has the known log-likelihood
 * z·e_k/σ² (rows of one length), which is added to the logits; since z and the input are independent given the class,
 * the network's own part is then left with what the *input* says.
 */
export type LabelLikelihood = "learned" | "exact";

export interface BlockConfig {
  readonly condWidth: number;
  /** What a branch is multiplied with at the start: 0 makes each layer the identity (DiT, the official code), 1 the plain layer. */
  readonly initialGate: 0 | 1;
  readonly headInput: HeadInput;
  readonly labelLikelihood: LabelLikelihood;
}

/** What one block estimates: what the input says of each class, and that together with what the noisy target says; [batch, classes]. */
export interface Estimate {
  readonly evidence: Tensor;
  readonly logits: Tensor;
}

/** A denoiser of the class embedding made of some of a network's layers, with the stem, head and noise conditioning that it uses. */
export interface Block {
  readonly parameters: BlockParameters;
  readonly numLayers: number;
  denoise(input: Tensor, z: Tensor, levels: NoiseLevels, context: Context, checkpointing?: boolean): Estimate;
}

type Parameters = ReadonlyMap<string, Tensor>;

/** Parameters by path: the stem with the noise embedding, the layers by their number in the network, the head. */
export interface BlockParameters {
  readonly stem: Parameters;
  readonly layers: Parameters;
  readonly head: Parameters;
}

/** A network with the noise conditioning that its stem, layers and head share. */
export interface ConditionedNetwork {
  readonly network: Network;
  readonly noise: ReturnType<typeof noiseEmbedding>;
}

export function conditionedNetwork(
  architecture: Architecture,
  { condWidth, initialGate }: Pick<BlockConfig, "condWidth" | "initialGate">,
): ConditionedNetwork {
  const conditioning = adaLN({ condWidth, initialGate, targetWidth: architecture.width, epsilon: architecture.epsilon });
  return { network: architecture.build(conditioning), noise: noiseEmbedding(condWidth) };
}

export function createBlock(
  { network, noise }: ConditionedNetwork,
  [first, end]: readonly [number, number],
  targets: Targets,
  { headInput, labelLikelihood }: BlockConfig,
): Block {
  const layers = network.layers.slice(first, end);
  return {
    parameters: {
      stem: namedParameters({ parts: { stem: network.stem, noise } }),
      layers: layerParameters(layers, first),
      head: namedParameters({ parts: { head: network.head } }),
    },
    numLayers: end - first,
    denoise: (input, z, levels, base, checkpointing = false) => {
      const context = { ...base, condition: noise(reshape(levels.cNoise, [z.shape[0]!])) };
      const embedded = network.stem(input, mul(levels.cIn, z), context);
      const state = throughLayers(layers, embedded, context, checkpointing);
      const mix = (features: Tensor): Tensor => add(mul(levels.cOut, features), mul(levels.cSkip, z));
      const evidence = network.head(state, context, headInput === "mixed" ? mix : undefined);
      return estimateOf(evidence, z, levels.sigma, { targets, labelLikelihood });
    },
  };
}

/** Evidence [batch, …, classes] together with what the noisy target z [batch, …, width] says by itself; sigma has one number for each item, of the rank of z. */
export function estimateOf(
  evidence: Tensor,
  z: Tensor,
  sigma: Tensor,
  { targets, labelLikelihood }: { readonly targets: Targets; readonly labelLikelihood: LabelLikelihood },
): Estimate {
  if (labelLikelihood === "learned") return { evidence, logits: evidence };
  const likelihood = div(matmul(z, targets.table, { transB: true }), square(sigma));
  return { evidence, logits: add(evidence, likelihood) };
}
