/** File formats as bytes: nothing here touches a disk, so all of it works in a browser. */
export { canonicalJson, sha256 } from "./canonicalJson.ts";
export {
  type CheckpointContent,
  checkpointKeys,
  checkpointName,
  checkpointStep,
  checkpointVersion,
  checksum,
  decodeCheckpoint,
  encodeCheckpoint,
} from "./checkpointFile.ts";
export { damagedMetricLines, encodeMetricLine, type MetricLine, parseMetrics } from "./metricLines.ts";
export { readNpy } from "./npy.ts";
export type { NumArray } from "./numArray.ts";
export { type Pickled, readPickle } from "./pickle.ts";
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
export { openSealedJson, sealJson } from "./sealedJson.ts";
export { parseStrictJson } from "./strictJson.ts";
export { decodeEvents, encodeEvent, encodeEventFileStart, eventFileName, type Scalar, type TensorBoardEvent } from "./tensorboard.ts";
