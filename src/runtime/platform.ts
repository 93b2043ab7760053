import type * as OrtModule from "onnxruntime-web";

/** The part of ONNX Runtime's API that the runtime uses; the Node and the web package export the same. */
export type Ort = Pick<typeof OrtModule, "InferenceSession" | "Tensor" | "env">;

/** `cpu`: native, Node only. `webgpu`: native in Node, the browser's in a page. `wasm`: everywhere, about a third of native speed. */
export type DeviceName = "cpu" | "webgpu" | "wasm";

export interface OrtOptions {
  /** Threads of one operator on `cpu` and `wasm`. Default: all cores that this process may use. */
  readonly threads?: number | undefined;
  /** The address of the .wasm files of onnxruntime-web, ending in "/". Default: beside its own script. */
  readonly wasmPaths?: string;
}

/** One loaded build of ONNX Runtime. */
export interface OrtBuild {
  readonly ort: Ort;
  readonly version: string;
  readonly threads: number;
  /**
   * Whether this is onnxruntime-node. It fills preallocated outputs in place and refuses shared memory;
   * onnxruntime-web (1.30) leaves preallocated outputs on the host as they were, without an error.
   */
  readonly native: boolean;
  /** Frees the copies that the native binding makes of its outputs; the web builds make none. */
  readonly collectGarbage?: () => void;
}

/** The interface of ort.node.ts and ort.web.ts; package.json's "imports" picks one of them as `#ort`. */
export interface OrtPlatform {
  /** The devices that "auto" tries, best first. */
  readonly automatic: readonly DeviceName[];
  /** @throws {DeviceError} if no build for `device` is installed or this platform cannot have one. */
  load(device: DeviceName, options: OrtOptions): Promise<OrtBuild>;
}
