import type { Tensor } from "../tensor/index.ts";
import {
  add,
  div,
  layerNorm as layerNormOf,
  mul,
  parameter,
  reduceSum,
  rematerialised,
  reshape,
  silu,
  split,
  sub,
  withGradient,
} from "../tensor/index.ts";
import type { Context } from "./context.ts";
import { ones, zeros } from "./initializers.ts";
import { linear } from "./linear.ts";
import { defineModule, type Module } from "./module.ts";
import { type BranchNorm, type Conditioning, normalised } from "./norm.ts";

export interface AdaLNConfig {
  /** Width of the conditioning vector. */
  readonly condWidth: number;
  /** Width of the noisy target token. */
  readonly targetWidth: number;
  readonly epsilon: number;
  /** The gate at initialisation: 0 starts each layer as the identity (DiT), 1 as the plain layer (for pretrained ones). */
  readonly initialGate?: 0 | 1;
}

export type AdaLNZeroConfig = Omit<AdaLNConfig, "targetWidth"> & Partial<AdaLNConfig>;

/**
 * Adaptive layer normalisation (Peebles & Xie 2023) as the official DiffusionBlocks code has it: (shift, scale, gate) =
 * SiLU(linear(condition)), the linear starting at zero, and the layer norm keeps its own gain and bias:
 * h + gate · branch(LN(h) · (1 + scale) + shift).
 */
export function adaLN({ condWidth, targetWidth, epsilon, initialGate = 0 }: AdaLNConfig): Conditioning {
  return {
    targetWidth,
    branchNorm: (width) => {
      const [gain, bias] = [parameter([width], ones), parameter([width], zeros)];
      const modulate = linear(condWidth, 3 * width, { init: zeros });
      const call: BranchNorm = (h, context) => {
        const [shift, scale, gate] = split(silu(modulate(conditionOf(context))), [width, width, width], 1).map(overTokens) as [
          Tensor,
          Tensor,
          Tensor,
        ];
        // (n·gain + bias)(1 + scale) + shift, with what differs from item to item put together first: two passes over the tokens.
        const stretch = add(scale, 1);
        const [itemGain, itemBias] = [mul(stretch, gain), add(mul(stretch, bias), shift)]; // [batch, 1, width]
        const normed = rematerialised(() => add(mul(layerNormOf(h, { epsilon }), itemGain), itemBias));
        const residual =
          initialGate === 0
            ? (branch: Tensor): Tensor => add(h, mul(branch, gate))
            : (branch: Tensor): Tensor => gatedSum(h, branch, add(gate, initialGate));
        return { normed, residual };
      };
      return defineModule({ gain, bias, modulate }, call);
    },
    modulation: (width) => headModulation(condWidth, width),
  };
}

/**
 * h + gate · branch, [batch, tokens, width], for a gate [batch, 1, width] that cannot vanish (1 + SiLU is at least
 * 0.72): its gradient finds the branch again as (y − h)/gate from the two states that the layer norms before and
 * after keep, so the branch itself is not kept.
 */
export function gatedSum(h: Tensor, branch: Tensor, gate: Tensor): Tensor {
  return withGradient(
    [h, branch, gate],
    () => add(h, mul(branch, gate)),
    ({ inputs: [before, , factor], outputs: [y], cotangents: [dy] }) => [
      dy,
      mul(dy!, factor!),
      div(reduceSum(mul(dy!, sub(y!, before!)), 1, true), factor!),
    ],
  );
}

/**
 * adaLN-Zero as DiT has it (Peebles & Xie 2023): (shift, scale, gate) = linear(SiLU(condition)), the linear starting
 * at zero; norms without gain and bias: h + (initialGate + gate) · branch(norm(h) · (1 + scale) + shift).
 */
export function adaLNZero({ condWidth, epsilon, targetWidth, initialGate = 0 }: AdaLNZeroConfig): Conditioning {
  return {
    targetWidth,
    branchNorm: (width, kind = "layer") => {
      const modulate = linear(condWidth, 3 * width, { init: zeros });
      const call: BranchNorm = (h, context) => {
        const parts = split(modulate(silu(conditionOf(context))), [width, width, width], 1).map(overTokens);
        const [shift, scale, change] = parts as [Tensor, Tensor, Tensor];
        const stretch = add(scale, 1);
        const gate = initialGate === 0 ? change : add(change, initialGate);
        const normed = rematerialised(() => add(mul(normalised(h, kind, epsilon), stretch), shift));
        return { normed, residual: (branch) => add(h, mul(branch, gate)) };
      };
      return defineModule({ modulate }, call);
    },
    modulation: (width) => {
      const modulate = linear(condWidth, 2 * width, { init: zeros });
      return defineModule({ modulate }, (u: Tensor, context: Context) => {
        const [shift, scale] = split(modulate(silu(conditionOf(context))), [width, width], 1) as [Tensor, Tensor];
        return u.rank === 3 ? modulated(u, overTokens(shift), overTokens(scale)) : modulated(u, shift, scale);
      });
    },
  };
}

/** u · (1 + scale) + shift with (shift, scale) = SiLU(linear(condition)); the linear starts at zero. */
function headModulation(condWidth: number, width: number): Module<(u: Tensor, context: Context) => Tensor> {
  const modulate = linear(condWidth, 2 * width, { init: zeros });
  return defineModule({ modulate }, (u: Tensor, context: Context) => {
    const [shift, scale] = split(silu(modulate(conditionOf(context))), [width, width], 1) as [Tensor, Tensor];
    return modulated(u, shift, scale);
  });
}

function modulated(x: Tensor, shift: Tensor, scale: Tensor): Tensor {
  return add(mul(x, add(scale, 1)), shift);
}

/** [batch, width] -> [batch, 1, width] */
function overTokens(x: Tensor): Tensor {
  return reshape(x, [x.shape[0]!, 1, x.shape[1]!]);
}

function conditionOf({ condition }: Context): Tensor {
  if (condition === undefined) throw new Error("internal: adaLN was called without noise conditioning");
  return condition;
}
