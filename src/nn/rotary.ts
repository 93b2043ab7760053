import { add, concat, constant, gather, mul, reshape, split, sub, type Tensor } from "../tensor/index.ts";

export interface RotaryConfig {
  /** Positions that there are. */
  readonly length: number;
  /** Width of one head, even. */
  readonly headWidth: number;
  readonly base?: number;
}

/** Turns queries or keys by where they stand. */
export type Rotation = (x: Tensor, positions?: Tensor) => Tensor;

/**
 * Rotary positions (Su et al. 2021): in each head, numbers k and k + d/2 of a query or key are turned by the angle
 * position · base^(−2k/d). [batch, tokens, heads · d] -> the same. Positions are int32 [rows, tokens], one row for
 * all items or one for each; 0, 1, 2, … where they are left out.
 */
export function rotary({ length, headWidth, base = 10_000 }: RotaryConfig): Rotation {
  const half = headWidth / 2;
  const angle = (i: number): number => Math.floor(i / half) * base ** (-(i % half) / half);
  const table = (f: (x: number) => number): Tensor =>
    constant(
      Float32Array.from({ length: length * half }, (_, i) => f(angle(i))),
      [length, half],
    );
  const tables = [table(Math.cos), table(Math.sin)];
  return (x, positions) => {
    const [batch, tokens, width] = x.shape as [number, number, number];
    const [rows, at] = positions === undefined ? [1, length] : [positions.shape[0]!, tokens];
    const [cos, sin] = tables.map((one) => reshape(positions === undefined ? one : gather(one, positions), [rows, at, 1, half])) as [
      Tensor,
      Tensor,
    ];
    const [a, b] = split(reshape(x, [batch, tokens, width / headWidth, headWidth]), [half, half], 3) as [Tensor, Tensor];
    const turned = concat([sub(mul(a, cos), mul(b, sin)), add(mul(b, cos), mul(a, sin))], 3);
    return reshape(turned, x.shape);
  };
}
