export type { Device, OpenOptions } from "./device.ts";
export { openDevice } from "./device.ts";
export type { DeviceTensor } from "./deviceTensor.ts";
export type { BackendReport } from "./doctor.ts";
export { availableBackends } from "./doctor.ts";
export type { DeviceName } from "./platform.ts";
export type { CompileOptions, Executable, ProgramBytes, RunOptions, TensorSpec } from "./session.ts";
