import type { Tensor } from "../tensor/index.ts";
import { add, layerNorm as layerNormOf, parameter, rmsNorm as rmsNormOf } from "../tensor/index.ts";
import type { Context } from "./context.ts";
import { ones, zeros } from "./initializers.ts";
import { defineModule, type Module } from "./module.ts";

/**
 * The normalisation before a residual branch, and how the branch's result is added to `h`: the one seam through which
 * noise conditioning enters a network. A layer says `const first = norm1(h, context); return
 * first.residual(attention(first.normed, context))`.
 */
export type BranchNorm = (h: Tensor, context: Context) => { readonly normed: Tensor; readonly residual: (branch: Tensor) => Tensor };

/** The normalisation of a network: layer norm (Ba et al. 2016), or by the root mean square alone (Zhang & Sennrich 2019). */
export type NormKind = "layer" | "rms";

/** A normalisation over the last axis without gain and bias. */
export function normalised(x: Tensor, kind: NormKind, epsilon: number): Tensor {
  return kind === "rms" ? rmsNormOf(x, { epsilon }) : layerNormOf(x, { epsilon });
}

/**
 * The seam between a network and the way in which it is trained. Plain training hands `plainConditioning`; DiffusionBlocks hands
 * an adaLN, and the width of the noisy target that the network receives as a token.
 */
export interface Conditioning {
  /** Before each residual branch; tensors are [batch, tokens, width]. */
  branchNorm(width: number, kind?: NormKind): Module<BranchNorm>;
  /** On what the head reads, [batch, width]. */
  modulation(width: number): Module<(u: Tensor, context: Context) => Tensor>;
  /** Width of the noisy target, or undefined where the network is given none. */
  readonly targetWidth: number | undefined;
}

/** Layer normalisation with gain and bias over the last axis. */
export function layerNorm(width: number, epsilon: number): Module<(x: Tensor) => Tensor> {
  const [gain, bias] = [parameter([width], ones), parameter([width], zeros)];
  return defineModule({ gain, bias }, (x: Tensor) => layerNormOf(x, { gain, bias, epsilon }));
}

/** Normalisation by the root mean square over the last axis, with a gain. */
export function rmsNorm(width: number, epsilon: number): Module<(x: Tensor) => Tensor> {
  const gain = parameter([width], ones);
  return defineModule({ gain }, (x: Tensor) => rmsNormOf(x, { gain, epsilon }));
}

/** No noise conditioning: norms with gains, branches added as they are, no target token. */
export function plainConditioning(epsilon = 1e-6): Conditioning {
  return {
    branchNorm: (width, kind = "layer") => {
      const norm = kind === "rms" ? rmsNorm(width, epsilon) : layerNorm(width, epsilon);
      return defineModule(norm.parts, (h: Tensor) => ({ normed: norm(h), residual: (branch: Tensor) => add(h, branch) }));
    },
    modulation: () => defineModule({}, (u: Tensor) => u),
    targetWidth: undefined,
  };
}
