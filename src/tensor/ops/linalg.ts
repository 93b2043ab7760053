import { broadcastShapes, showShape, sizeOf } from "../shape.ts";
import type { Operator, Tensor } from "../tensor.ts";
import { applyOne } from "../tensor.ts";
import { mul } from "./elementwise.ts";
import { reshape, slice, swapLast, transpose } from "./movement.ts";

export interface ProductOptions {
  /** Use a, or b, with its last two axes exchanged. */
  readonly transA?: boolean;
  readonly transB?: boolean;
  /** A factor of the product; costs nothing. */
  readonly alpha?: number;
}

interface ProductAttributes {
  readonly transA: boolean;
  readonly transB: boolean;
  readonly alpha: number;
}

function productAttributes({ transA = false, transB = false, alpha = 1 }: ProductOptions): ProductAttributes {
  return { transA, transB, alpha };
}

/** Rows, inner and columns of op(a)·op(b), or undefined if the inner dimensions differ. */
function productDimensions(a: Tensor, b: Tensor, { transA, transB }: ProductAttributes): { rows: number; columns: number } | undefined {
  const [m, ka] = transA ? [a.shape.at(-1)!, a.shape.at(-2)!] : [a.shape.at(-2)!, a.shape.at(-1)!];
  const [kb, n] = transB ? [b.shape.at(-1)!, b.shape.at(-2)!] : [b.shape.at(-2)!, b.shape.at(-1)!];
  return ka === kb ? { rows: m, columns: n } : undefined;
}

/** 2·m·k·n, for each product of a batch. */
function productFlops([a]: readonly Tensor[], [out]: readonly Tensor[], { transA }: ProductAttributes): number {
  return 2 * sizeOf(out!.shape) * a!.shape.at(transA ? -2 : -1)!;
}

const gemmOperator: Operator<ProductAttributes> = {
  name: "gemm",
  flops: productFlops,
  type: ([a, b, c], attributes, fail) => {
    if (a!.rank !== 2 || b!.rank !== 2) return fail("takes matrices.");
    const size = productDimensions(a!, b!, attributes);
    if (size === undefined)
      return fail(`inner dimensions differ${attributes.transA ? ", a transposed" : ""}${attributes.transB ? ", b transposed" : ""}.`);
    const shape = [size.rows, size.columns];
    if (c !== undefined && (c.rank > 2 || broadcastShapes(c.shape, shape)?.join() !== shape.join()))
      return fail(`the bias ${showShape(c.shape)} does not broadcast to ${showShape(shape)}.`);
    return { dtype: "float32", shape };
  },
  onnx: ({ transA, transB, alpha }) => ({
    opType: "Gemm",
    attributes: { transA: transA ? 1 : 0, transB: transB ? 1 : 0, alpha },
    floats: ["alpha"],
  }),
  vjp: ({ inputs: [a, b, c], cotangents: [dy], attributes: { transA, transB, alpha } }) => [
    transA ? gemm(b!, dy!, { transA: transB, transB: true, alpha }) : gemm(dy!, b!, { transB: !transB, alpha }),
    transB ? gemm(dy!, a!, { transA: true, transB: transA, alpha }) : gemm(a!, dy!, { transA: !transA, alpha }),
    c && dy,
  ],
};

/** alpha · op(a) · op(b) + bias for matrices, as one Gemm; `bias` broadcasts. */
export function gemm(a: Tensor, b: Tensor, options: ProductOptions & { readonly bias?: Tensor } = {}): Tensor {
  return applyOne(gemmOperator, options.bias ? [a, b, options.bias] : [a, b], productAttributes(options));
}

/**
 * x·w + b over the last axis: [..., in] · [in, out] -> [..., out]. Leading axes are folded into rows, so that the product and
 * both its gradients are single Gemms.
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const lead = x.shape.slice(0, -1);
  const rows = reshape(x, [lead.reduce((product, d) => product * d, 1), x.shape.at(-1)!]);
  return reshape(gemm(rows, weight, bias && { bias }), [...lead, weight.shape.at(-1)!]);
}

const matmulOperator: Operator<ProductAttributes> = {
  name: "matmul",
  flops: productFlops,
  type: ([a, b], attributes, fail) => {
    if (a!.rank < 2 || b!.rank < 2) return fail("takes at least two axes on either side.");
    const size = productDimensions(a!, b!, attributes);
    if (size === undefined)
      return fail(`inner dimensions differ${attributes.transA ? ", a transposed" : ""}${attributes.transB ? ", b transposed" : ""}.`);
    const batch = broadcastShapes(a!.shape.slice(0, -2), b!.shape.slice(0, -2));
    if (batch === undefined) return fail("the leading axes do not broadcast.");
    return { dtype: "float32", shape: [...batch, size.rows, size.columns] };
  },
  onnx: ({ transA, transB, alpha }) =>
    transA || transB || alpha !== 1
      ? {
          opType: "FusedMatMul",
          domain: "com.microsoft",
          attributes: { transA: transA ? 1 : 0, transB: transB ? 1 : 0, alpha },
          floats: ["alpha"],
        }
      : { opType: "MatMul" },
  vjp: ({ inputs: [a, b], cotangents: [dy], attributes: { transA, transB, alpha } }) => [
    transA ? matmul(b!, dy!, { transA: transB, transB: true, alpha }) : matmul(dy!, b!, { transB: !transB, alpha }),
    transB ? matmul(dy!, a!, { transA: true, transB: transA, alpha }) : matmul(a!, dy!, { transA: !transA, alpha }),
  ],
};

/** alpha · op(a) · op(b) over the last two axes, batched and broadcast over the others. */
export function matmul(a: Tensor, b: Tensor, options: ProductOptions = {}): Tensor {
  return applyOne(matmulOperator, [a, b], productAttributes(options));
}

/** `matmul` without ONNX Runtime's fused operator, for devices that lack it: the transpositions and the factor are nodes of their own. */
export function plainMatmul(a: Tensor, b: Tensor, { transA = false, transB = false, alpha = 1 }: ProductOptions): Tensor {
  const product = matmul(transA ? swapLast(a) : a, transB ? swapLast(b) : b);
  return alpha === 1 ? product : mul(product, alpha);
}

export interface ConvOptions {
  readonly stride?: number;
  /** Zeros around the image, on each side. */
  readonly padding?: number;
}

interface ConvAttributes {
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  /** top, left, bottom, right. */
  readonly pads: readonly [number, number, number, number];
}

function convAttributes({ strides, dilations, pads }: ConvAttributes): {
  strides: readonly number[];
  dilations: readonly number[];
  pads: readonly number[];
} {
  return { strides, dilations, pads };
}

const convOperator: Operator<ConvAttributes> = {
  name: "conv2d",
  flops: ([, w], [out]) => 2 * sizeOf(out!.shape) * sizeOf(w!.shape.slice(1)),
  type: ([x, w], { strides, dilations, pads }, fail) => {
    if (x!.rank !== 4 || w!.rank !== 4)
      return fail("takes an image [batch, channels, height, width] and a kernel [out, channels, height, width].");
    if (x!.shape[1] !== w!.shape[1]) return fail(`the image has ${x!.shape[1]} channels, the kernel expects ${w!.shape[1]}.`);
    const size = [0, 1].map(
      (i) => Math.floor((x!.shape[2 + i]! + pads[i]! + pads[2 + i]! - dilations[i]! * (w!.shape[2 + i]! - 1) - 1) / strides[i]!) + 1,
    );
    if (size.some((d) => d < 1)) return fail("the kernel is larger than the padded image.");
    return { dtype: "float32", shape: [x!.shape[0]!, w!.shape[0]!, ...size] };
  },
  onnx: (attributes) => ({ opType: "Conv", attributes: convAttributes(attributes) }),
  vjp: ({ inputs: [x, w], cotangents: [dy], attributes }) => {
    const [dx, dw] = [convTranspose(dy!, w!, attributes, x!), convKernelGradient(x!, dy!, attributes, w!)];
    return [dx, dw];
  },
};

const convTransposeOperator: Operator<ConvAttributes & { readonly size: readonly [number, number] }> = {
  name: "convTranspose2d",
  flops: ([y, w]) => 2 * sizeOf(y!.shape) * sizeOf(w!.shape.slice(1)),
  type: ([y, w], { size }) => ({ dtype: "float32", shape: [y!.shape[0]!, w!.shape[1]!, ...size] }),
  onnx: (attributes, [y, w]) => {
    const covered = [0, 1].map(
      (i) =>
        (y!.shape[2 + i]! - 1) * attributes.strides[i]! +
        attributes.dilations[i]! * (w!.shape[2 + i]! - 1) +
        1 -
        attributes.pads[i]! -
        attributes.pads[2 + i]!,
    );
    return {
      opType: "ConvTranspose",
      attributes: { ...convAttributes(attributes), output_padding: attributes.size.map((d, i) => d - covered[i]!) },
    };
  },
};

/** dx of a convolution. */
function convTranspose(dy: Tensor, w: Tensor, attributes: ConvAttributes, x: Tensor): Tensor {
  return applyOne(convTransposeOperator, [dy, w], { ...attributes, size: [x.shape[2]!, x.shape[3]!] });
}

/**
 * dw of a convolution, itself a convolution: images and channels exchange their roles, the output gradient is the kernel,
 * and stride and dilation exchange theirs; what a stride did not reach is cut off.
 */
function convKernelGradient(x: Tensor, dy: Tensor, { strides, dilations, pads }: ConvAttributes, w: Tensor): Tensor {
  const swap = [1, 0, 2, 3];
  const wide = applyOne(convOperator, [transpose(x, swap), transpose(dy, swap)], { strides: dilations, dilations: strides, pads });
  const exact = slice(slice(wide, 2, 0, w.shape[2]!), 3, 0, w.shape[3]!);
  return transpose(exact, swap);
}

/**
 * 2-D cross-correlation: [batch, in, h, w] with kernel [out, in, kh, kw] -> [batch, out, h', w'], h' = ⌊(h +
 * 2·padding − kh)/stride⌋ + 1.
 */
export function conv2d(x: Tensor, kernel: Tensor, { stride = 1, padding = 0 }: ConvOptions = {}): Tensor {
  return applyOne(convOperator, [x, kernel], { strides: [stride, stride], dilations: [1, 1], pads: [padding, padding, padding, padding] });
}
