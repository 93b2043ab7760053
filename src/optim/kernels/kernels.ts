import { ShapeError } from "../../errors.ts";
import { kernelsBase64 } from "./kernels.wasm.ts";

/** The numbers of one AdamW step. `bias1` and `bias2` are 1 - beta1^t and 1 - beta2^t at step t, counted from 1. */
export interface AdamWStep {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  readonly bias1: number;
  readonly bias2: number;
  /** Multiplies every gradient first: the clipping factor, or 1/k after k accumulated gradients. */
  readonly gradScale: number;
}

/** The numbers of one step of SGD with momentum. */
export interface SgdStep {
  readonly learningRate: number;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly gradScale: number;
}

/**
 * The in-place arithmetic of the optimisers on float32 vectors. All vectors of one call have the same length;
 * any length and any alignment is allowed. Non-finite numbers spread as in IEEE arithmetic and are not looked for.
 */
export interface Kernels {
  /**
   * One step of AdamW (PyTorch's torch.optim.AdamW, amsgrad off), g = gradScale g on the way in, g itself unchanged:
   * m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
   * p = p (1 - learningRate weightDecay) - learningRate (m / bias1) / (sqrt(v / bias2) + eps).
   *
   * @see Loshchilov and Hutter, Decoupled Weight Decay Regularization (arXiv 1711.05101), Algorithm 2.
   */
  adamw(p: Float32Array, g: Float32Array, m: Float32Array, v: Float32Array, step: AdamWStep): void;
  /** One step of SGD as PyTorch's: m = momentum m + gradScale g + weightDecay p;  p = p - learningRate m. */
  sgd(p: Float32Array, g: Float32Array, m: Float32Array, step: SgdStep): void;
  /** The sum of x^2, accumulated in float64. The global gradient norm is the root of the sum over all tensors. */
  sumSquares(x: Float32Array): number;
  /** y = y + a x: gradient accumulation. */
  axpy(y: Float32Array, x: Float32Array, a: number): void;
  /** ema = decay ema + (1 - decay) p: the moving average of the parameters. */
  lerp(ema: Float32Array, p: Float32Array, decay: number): void;
  /** x = a x. */
  scale(x: Float32Array, a: number): void;
  /** x = a. */
  fill(x: Float32Array, a: number): void;
}

/** The exports of kernels.wat: byte addresses, a count of floats, settings. */
interface KernelExports {
  adamw(p: number, g: number, m: number, v: number, n: number, ...settings: number[]): void;
  sgd(p: number, g: number, m: number, n: number, ...settings: number[]): void;
  sumSquares(x: number, n: number): number;
  axpy(y: number, x: number, n: number, a: number): void;
  lerp(ema: number, p: number, n: number, decay: number): void;
  scale(x: number, n: number, a: number): void;
  fill(x: number, n: number, a: number): void;
}

let compiled: WebAssembly.Module | undefined;

const wasmBytes = (): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(kernelsBase64), (character) => character.charCodeAt(0));

/** Whether this engine runs WebAssembly with SIMD; without it, `referenceKernels` do the same work more slowly. */
export function hasWasmKernels(): boolean {
  return typeof WebAssembly === "object" && (compiled !== undefined || WebAssembly.validate(wasmBytes()));
}

/**
 * The kernels in WebAssembly SIMD, bound to one memory. Every vector handed to them must be a view of that memory.
 *
 * @throws {ShapeError} from a kernel, if a vector lies elsewhere or the lengths differ.
 */
export function wasmKernels(memory: WebAssembly.Memory): Kernels {
  compiled ??= new WebAssembly.Module(wasmBytes());
  const run = new WebAssembly.Instance(compiled, { env: { memory } }).exports as unknown as KernelExports;
  const { buffer } = memory;

  /** The common length of `vectors`, once it is sure that the kernel may touch them. */
  function lengthOf(kernel: string, vectors: readonly Float32Array[]): number {
    for (const vector of vectors) {
      if (vector.buffer !== buffer) {
        throw new ShapeError(
          "vectorOutsideArena",
          { kernel },
          `${kernel}: a vector does not lie in the kernels' memory. Take it from arena.view().`,
        );
      }
    }
    return commonLength(kernel, vectors);
  }

  return {
    adamw(p, g, m, v, { learningRate, beta1, beta2, eps, weightDecay, bias1, bias2, gradScale }) {
      const n = lengthOf("adamw", [p, g, m, v]);
      const settings = [learningRate, beta1, beta2, eps, weightDecay, bias1, bias2, gradScale];
      run.adamw(p.byteOffset, g.byteOffset, m.byteOffset, v.byteOffset, n, ...settings);
    },
    sgd(p, g, m, { learningRate, momentum, weightDecay, gradScale }) {
      const n = lengthOf("sgd", [p, g, m]);
      run.sgd(p.byteOffset, g.byteOffset, m.byteOffset, n, learningRate, momentum, weightDecay, gradScale);
    },
    sumSquares: (x) => run.sumSquares(x.byteOffset, lengthOf("sumSquares", [x])),
    axpy: (y, x, a) => run.axpy(y.byteOffset, x.byteOffset, lengthOf("axpy", [y, x]), a),
    lerp: (ema, p, decay) => run.lerp(ema.byteOffset, p.byteOffset, lengthOf("lerp", [ema, p]), decay),
    scale: (x, a) => run.scale(x.byteOffset, lengthOf("scale", [x]), a),
    fill: (x, a) => run.fill(x.byteOffset, lengthOf("fill", [x]), a),
  };
}

/** @throws {ShapeError} if the vectors of one call differ in length. */
export function commonLength(kernel: string, vectors: readonly Float32Array[]): number {
  const lengths = vectors.map((vector) => vector.length);
  const [first = 0] = lengths;
  if (lengths.some((length) => length !== first)) {
    throw new ShapeError(
      "vectorLengths",
      { kernel, lengths },
      `${kernel}: vectors of ${lengths.join(", ")} floats; all must be of one length.`,
    );
  }
  return first;
}
