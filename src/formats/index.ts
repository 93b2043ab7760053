/** File formats as bytes: nothing here touches a disk, so all of it works in a browser. */
export {
  asFloat32,
  asFloat64,
  asInt,
  layoutSafetensors,
  type NamedArray,
  type PlacedTensor,
  parseHeader,
  readHeaderLength,
  readSafetensors,
  type SafetensorsDtype,
  type SafetensorsFile,
  type SafetensorsLayout,
  type SafetensorsTensor,
  type TensorSpec,
  type TypedArray,
  tensorBytes,
  writeSafetensors,
} from "./safetensors.ts";
export { parseStrictJson } from "./strictJson.ts";
export { decodeEvents, encodeEvent, encodeEventFileStart, eventFileName, type Scalar, type TensorBoardEvent } from "./tensorboard.ts";
