export type { OnnxGraph } from "./decode.ts";
export { decodeModel } from "./decode.ts";
export type { OnnxModel, TensorSpec } from "./encode.ts";
export { encodeModel } from "./encode.ts";
