import type { DType } from "../dtype.ts";
import { broadcastShapes, showShape } from "../shape.ts";
import type { OnnxForm, Operand, Operator, Tensor } from "../tensor.ts";
import { applyOne, toTensor, withGradient } from "../tensor.ts";

type Unary = (x: Tensor) => Tensor;
type Binary = (a: Operand, b: Operand) => Tensor;

/** dx from x, y = f(x) and dy; undefined where the gradient is zero everywhere. */
type UnaryGradient = (dy: Tensor, y: Tensor, x: Tensor) => Tensor;

interface UnaryOptions extends Pick<OnnxForm, "attributes" | "floats">, Pick<Operator<null>, "isRematerialised"> {}

function unary(name: string, gradient: UnaryGradient | undefined, { isRematerialised = false, ...form }: UnaryOptions = {}): Unary {
  const operator: Operator<null> = {
    name: name.charAt(0).toLowerCase() + name.slice(1),
    type: ([x], _, fail) => (x!.dtype === "float32" ? x! : fail("takes float32.")),
    onnx: () => ({ opType: name, ...form }),
    isRematerialised,
    vjp: ({ inputs: [x], outputs: [y], cotangents: [dy] }) => [gradient?.(dy!, y!, x!)],
  };
  return (x) => applyOne(operator, [x], null);
}

function binary(
  name: string,
  onnxName: string,
  gradient: ((dy: Tensor, a: Tensor, b: Tensor, y: Tensor) => readonly [Tensor | undefined, Tensor | undefined]) | undefined,
  result: DType | "same" = "same",
): Binary {
  const operator: Operator<null> = {
    name,
    type: ([a, b], _, fail) => {
      if (a!.dtype !== b!.dtype) return fail("both sides must have one dtype.");
      const shape = broadcastShapes(a!.shape, b!.shape);
      if (shape === undefined) return fail(`shapes ${showShape(a!.shape)} and ${showShape(b!.shape)} do not broadcast.`);
      return { dtype: result === "same" ? a!.dtype : result, shape };
    },
    onnx: () => ({ opType: onnxName }),
    vjp: ({ inputs: [a, b], outputs: [y], cotangents: [dy] }) => gradient?.(dy!, a!, b!, y!) ?? [],
  };
  return (a, b) => applyOne(operator, [toTensor(a), toTensor(b)], null);
}

/** a + b, broadcasting. */
export const add: Binary = binary("add", "Add", (dy) => [dy, dy]);
/** a − b, broadcasting. */
export const sub: Binary = binary("sub", "Sub", (dy) => [dy, neg(dy)]);
/** a · b, element by element, broadcasting. */
export const mul: Binary = binary("mul", "Mul", (dy, a, b) => [mul(dy, b), mul(dy, a)]);
/** a / b, broadcasting. */
export const div: Binary = binary("div", "Div", (dy, _, b, y) => [div(dy, b), neg(div(mul(dy, y), b))]);
/** The larger of the two, broadcasting; the gradient goes to a where a ≥ b. */
export const maximum: Binary = binary("maximum", "Max", (dy, a, b) => {
  const mask = cast(greaterOrEqual(a, b), "float32");
  return [mul(dy, mask), mul(dy, sub(1, mask))];
});
/** The smaller of the two, broadcasting; the gradient goes to a where a ≤ b. */
export const minimum: Binary = binary("minimum", "Min", (dy, a, b) => {
  const mask = cast(greaterOrEqual(b, a), "float32");
  return [mul(dy, mask), mul(dy, sub(1, mask))];
});

/** a = b, as bool. */
export const equal: Binary = binary("equal", "Equal", undefined, "bool");
/** a > b, as bool. */
export const greater: Binary = binary("greater", "Greater", undefined, "bool");
/** a ≥ b, as bool. */
export const greaterOrEqual: Binary = binary("greaterOrEqual", "GreaterOrEqual", undefined, "bool");
/** a < b, as bool. */
export const less: Binary = binary("less", "Less", undefined, "bool");
/** Both, for bool. */
export const logicalAnd: Binary = binary("logicalAnd", "And", undefined, "bool");

/** −x */
export const neg: Unary = unary("Neg", (dy) => neg(dy));
/** eˣ; dx = y · dy */
export const exp: Unary = unary("Exp", (dy, y) => mul(dy, y));
/** ln x; dx = dy / x */
export const log: Unary = unary("Log", (dy, _, x) => div(dy, x));
/** √x; dx = dy / 2y */
export const sqrt: Unary = unary("Sqrt", (dy, y) => div(mul(dy, 0.5), y));
/** 1/x; dx = −dy · y² */
export const reciprocal: Unary = unary("Reciprocal", (dy, y) => neg(mul(dy, square(y))));
/** |x|; the gradient at 0 is 0 */
export const abs: Unary = unary("Abs", (dy, _, x) => mul(dy, sub(cast(greater(x, 0), "float32"), cast(less(x, 0), "float32"))));
/** tanh x; dx = dy (1 − y²) */
export const tanh: Unary = unary("Tanh", (dy, y) => mul(dy, sub(1, square(y))));
/** 1 / (1 + e⁻ˣ); dx = dy · y (1 − y) */
export const sigmoid: Unary = unary("Sigmoid", (dy, y) => mul(dy, sub(y, square(y))));
/** The error function; dx = dy · 2/√π · e^(−x²) */
export const erf: Unary = unary("Erf", (dy, _, x) => mul(mul(dy, 2 / Math.sqrt(Math.PI)), exp(neg(square(x)))));
/** max(x, 0); the gradient at 0 is 0 */
export const relu: Unary = unary("Relu", (dy, y) => mul(dy, cast(greater(y, 0), "float32")));
/** ln(1 + eˣ); dx = dy · sigmoid(x) */
export const softplus: Unary = unary("Softplus", (dy, _, x) => mul(dy, sigmoid(x)));
/** sin x */
export const sin: Unary = unary("Sin", (dy, _, x) => mul(dy, cos(x)));
/** cos x */
export const cos: Unary = unary("Cos", (dy, _, x) => neg(mul(dy, sin(x))));

/** x², with the gradient 2 x dy. */
export function square(x: Tensor): Tensor {
  return withGradient(
    [x],
    () => mul(x, x),
    ({ inputs: [kept], cotangents: [dy] }) => [mul(mul(dy!, 2), kept!)],
  );
}

const geluErf = unary("Gelu", undefined, { isRematerialised: true });
const geluTanh = unary("Gelu", undefined, { attributes: { approximate: "tanh" }, isRematerialised: true });

/** ½ + ½ x in one pass, for x from −1 to 1. */
const halfPlusHalf = unary("HardSigmoid", undefined, { attributes: { alpha: 0.5, beta: 0.5 }, floats: ["alpha", "beta"] });

/**
 * x · Φ(x), exactly (Hendrycks & Gimpel 2016). The gradient Φ(x) + x φ(x) is made from x again:
 * with s = x/√2 it is ½ + ½ erf s + x · e^(−s² − ½ ln 2π).
 */
export function gelu(x: Tensor): Tensor {
  return withGradient(
    [x],
    () => geluErf(x),
    ({ inputs: [kept], cotangents: [dy] }) => {
      // s twice, so that each half of the sum works in one buffer.
      const below = halfPlusHalf(erf(mul(kept!, Math.SQRT1_2)));
      const s = mul(kept!, Math.SQRT1_2);
      const bell = mul(kept!, exp(sub(-0.5 * Math.log(2 * Math.PI), mul(s, s))));
      return [mul(dy!, add(below, bell))];
    },
  );
}

/** GELU by its tanh approximation, ½ x (1 + tanh(√(2/π)(x + 0.044715 x³))), as DiT uses it. */
export function geluApproximate(x: Tensor): Tensor {
  return withGradient(
    [x],
    () => geluTanh(x),
    ({ inputs: [kept], cotangents: [dy] }) => {
      const c = Math.sqrt(2 / Math.PI);
      const xx = mul(kept!, kept!);
      const t = tanh(mul(kept!, add(mul(xx, 0.044715 * c), c)));
      const slope = add(mul(xx, 3 * 0.044715 * c), c);
      const inner = mul(mul(kept!, slope), sub(1, mul(t, t)));
      return [mul(mul(dy!, 0.5), add(add(t, 1), inner))];
    },
  );
}

/** x · sigmoid(x); dx = dy (s + y − y s) with s = sigmoid(x). */
export function silu(x: Tensor): Tensor {
  return withGradient(
    [x],
    () => mul(x, sigmoid(x)),
    ({ inputs: [kept], outputs: [y], cotangents: [dy] }) => {
      const s = sigmoid(kept!);
      return [mul(dy!, add(s, sub(y!, mul(y!, s))))];
    },
  );
}

const whereOperator: Operator<null> = {
  name: "where",
  type: ([condition, a, b], _, fail) => {
    if (condition!.dtype !== "bool") return fail("the condition must be bool.");
    if (a!.dtype !== b!.dtype) return fail("both choices must have one dtype.");
    const choices = broadcastShapes(a!.shape, b!.shape);
    const shape = choices && broadcastShapes(condition!.shape, choices);
    return shape === undefined ? fail("the three shapes do not broadcast.") : { dtype: a!.dtype, shape };
  },
  onnx: () => ({ opType: "Where" }),
  vjp: ({ inputs: [condition], cotangents: [dy] }) => [undefined, where(condition!, dy!, 0), where(condition!, 0, dy!)],
};

/** a where the condition holds, else b; broadcasting. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  return applyOne(whereOperator, [condition, toTensor(a), toTensor(b)], null);
}

const notOperator: Operator<null> = {
  name: "logicalNot",
  type: ([x], _, fail) => (x!.dtype === "bool" ? x! : fail("takes bool.")),
  onnx: () => ({ opType: "Not" }),
};

/** The opposite, for bool. */
export function logicalNot(x: Tensor): Tensor {
  return applyOne(notOperator, [x], null);
}

/** ONNX's numbers for element types (TensorProto.DataType). */
const onnxType: Readonly<Record<DType, number>> = { float32: 1, int32: 6, int64: 7, bool: 9 };

const castOperator: Operator<{ to: DType }> = {
  name: "cast",
  type: ([x], { to }) => ({ dtype: to, shape: x!.shape }),
  onnx: ({ to }) => ({ opType: "Cast", attributes: { to: onnxType[to] } }),
  vjp: ({ inputs: [x], cotangents: [dy] }) => [x!.dtype === "float32" && dy!.dtype === "float32" ? dy : undefined],
};

/** The same values in another dtype; no gradient flows through integers or bool. */
export function cast(x: Tensor, to: DType): Tensor {
  return x.dtype === to ? x : applyOne(castOperator, [x], { to });
}

const identityOperator: Operator<null> = {
  name: "identity",
  type: ([x]) => x!,
  onnx: () => ({ opType: "Identity" }),
  vjp: ({ cotangents: [dy] }) => [dy],
};

/** The same values under another name. */
export function identity(x: Tensor): Tensor {
  return applyOne(identityOperator, [x], null);
}

/** The same values, through which no gradient flows. */
export function stopGradient(x: Tensor): Tensor {
  return withGradient(
    [x],
    () => identity(x),
    () => [undefined],
  );
}
