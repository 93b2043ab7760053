export { attentionWeights } from "./attentionWeights.ts";
export * from "./dtype.ts";
export { ancestors, grad } from "./grad.ts";
export * from "./liveness.ts";
export * from "./ops/index.ts";
export * from "./print.ts";
export * from "./program.ts";
export { checkpoint, inTurn } from "./recomputation.ts";
export { rewritesFor, standardOperators } from "./rewrites/index.ts";
export * from "./shape.ts";
export type { AttributeValue, CustomGradient, Initializer, OnnxForm, Operand, Operator, Sampler, Source } from "./tensor.ts";
export {
  constant,
  constantFrom,
  filled,
  input,
  Node,
  parameter,
  random,
  rematerialised,
  rematerialised as cheaply,
  scalar,
  Tensor,
  toTensor,
  withGradient,
} from "./tensor.ts";
