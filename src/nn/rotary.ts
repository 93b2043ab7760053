import { add, concat, constant, mul, reshape, split, sub, type Tensor } from "../tensor/index.ts";

/**
 * Rotary positions (Su et al. 2021): in each head, numbers k and k + d/2 of a query or key are turned by the angle position · base^(−2k/d). [batch, length, width] -> the same.
 *
 * @param width of all heads together; each head's is even.
 */
export function rotary(length: number, width: number, numHeads: number, base = 10_000): (x: Tensor) => Tensor {
  const head = width / numHeads;
  const half = head / 2;
  const angle = (i: number): number => Math.floor(i / half) * base ** (-(i % half) / half);
  const table = (f: (x: number) => number): Tensor =>
    constant(
      Float32Array.from({ length: length * half }, (_, i) => f(angle(i))),
      [1, length, 1, half],
    );
  const [cos, sin] = [table(Math.cos), table(Math.sin)];
  return (x) => {
    const [a, b] = split(reshape(x, [x.shape[0]!, length, numHeads, head]), [half, half], 3) as [Tensor, Tensor];
    const turned = concat([sub(mul(a, cos), mul(b, sin)), add(mul(b, cos), mul(a, sin))], 3);
    return reshape(turned, x.shape);
  };
}
