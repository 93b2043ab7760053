import { add, constant, gather, type Initializer, parameter, type Tensor } from "../tensor/index.ts";
import type { Context } from "./context.ts";
import { defineModule, type Module } from "./module.ts";

/** A learned vector for each position, added to embedded tokens (Radford et al. 2019): [batch, tokens, width] -> the same. */
export function learnedPositions(length: number, width: number, init: Initializer): Module<(x: Tensor, context: Context) => Tensor> {
  const table = parameter([length, width], init);
  return defineModule({ table }, (x: Tensor, { positions }: Context) => add(x, positions === undefined ? table : gather(table, positions)));
}

/**
 * Fixed positions of a square of tokens, row by row: [1, side², width]. Half of the channels tell the column, half
 * the row; each half is [sin | cos] of the coordinate times 10000^(−4k/width) (DiT, get_2d_sincos_pos_embed). `width`
 * is a multiple of 4.
 */
export function sinCosPositions(side: number, width: number): Tensor {
  const quarter = width / 4;
  const out = new Float32Array(side * side * width);
  for (let token = 0; token < side * side; token++) {
    for (const [half, coordinate] of [token % side, Math.floor(token / side)].entries()) {
      for (let k = 0; k < quarter; k++) {
        const angle = coordinate * 10_000 ** (-k / quarter);
        const at = token * width + half * 2 * quarter + k;
        out[at] = Math.sin(angle);
        out[at + quarter] = Math.cos(angle);
      }
    }
  }
  return constant(out, [1, side * side, width]);
}
