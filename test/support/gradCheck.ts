import { encodeModel } from "../../src/onnx/index.ts";
import { fold, type Key, key, normal } from "../../src/random.ts";
import type { Device } from "../../src/runtime/index.ts";
import {
  add,
  constant,
  createProgram,
  grad,
  type HostArray,
  input,
  mul,
  reduceSum,
  rewritesFor,
  type Shape,
  sizeOf,
  type Tensor,
} from "../../src/tensor/index.ts";

/** A function of float32 tensors to be differentiated, and the shapes and values to try it at. */
export interface GradientCase {
  readonly shapes: readonly Shape[];
  readonly f: (...inputs: Tensor[]) => Tensor;
  /** Maps standard normal numbers into the function's domain, away from its kinks. */
  readonly domain?: (x: number) => number;
}

/** Half the distance of the two points of the central difference. */
const step = 1e-2;

export interface GradientResult {
  /** The directional derivative by differentiation and by central differences, and the norm of the gradient. */
  readonly traced: number;
  readonly measured: number;
  readonly norm: number;
  readonly values: readonly Float32Array[];
}

/**
 * The derivative of Σ w·f(x) along a random direction d, traced and measured as (L(x + hd) − L(x − hd))/2h, in one program;
 * `values` are f(x) and the gradients, to compare devices by.
 */
export async function gradientResult(device: Device, { shapes, f, domain = (x) => x }: GradientCase, seed: Key): Promise<GradientResult> {
  const draw = (name: string, shape: Shape): Float32Array => {
    const out = new Float32Array(sizeOf(shape));
    normal(fold(seed, name), out);
    return out;
  };
  const inputs = shapes.map((shape, i) => input(`x${i}`, shape));
  const directions = shapes.map((shape, i) => constant(draw(`d${i}`, shape), shape));
  const value = f(...inputs);
  const weights = constant(draw("w", value.shape), value.shape);
  const loss = (at: readonly Tensor[]): Tensor => reduceSum(mul(f(...at), weights));
  const gradients = grad(reduceSum(mul(value, weights)), inputs);
  const shifted = (h: number): Tensor => loss(inputs.map((x, i) => add(x, mul(directions[i]!, h))));
  const program = createProgram(
    { plus: shifted(step), minus: shifted(-step), value, ...Object.fromEntries(gradients.map((g, i) => [`g${i}`, g])) },
    { rewrites: rewritesFor(device.name) },
  );
  const executable = await device.compile(encodeModel(program));
  try {
    const feeds = Object.fromEntries(shapes.map((shape, i) => [`x${i}`, draw(`x${i}`, shape).map(domain)]));
    const results = (await executable.run(Object.fromEntries(program.inputs.map(({ name }) => [name, feeds[name]!])))) as Record<
      string,
      HostArray
    >;
    const arrays = gradients.map((_, i) => results[`g${i}`] as Float32Array);
    const traced = arrays.reduce(
      (sum, g, i) => sum + g.reduce((inner, x, j) => inner + x * (directions[i]!.source as { data: Float32Array }).data[j]!, 0),
      0,
    );
    const measured = (Number((results.plus as Float32Array)[0]) - Number((results.minus as Float32Array)[0])) / (2 * step);
    const norm = Math.sqrt(arrays.reduce((sum, g) => sum + g.reduce((inner, x) => inner + x * x, 0), 0));
    return { traced, measured, norm, values: [results.value as Float32Array, ...arrays] };
  } finally {
    await executable.dispose();
  }
}

/** The relative error of the traced derivative; along an unlucky direction it is measured against the gradient's norm. */
export function gradientError({ traced, measured, norm }: GradientResult): number {
  return Math.abs(traced - measured) / (Math.max(Math.abs(traced), Math.abs(measured)) + 0.1 * norm + 1e-6);
}

export const gradientKey: Key = key("gradient checks");
