import { DeviceError } from "../errors.ts";
import type { OrtBuild, OrtPlatform } from "./platform.ts";
import { startWasm } from "./wasmThreads.ts";

/** ONNX Runtime in a browser. Threads need a page that is cross-origin isolated (COOP and COEP headers). */
export const platform: OrtPlatform = {
  automatic: ["wasm"],
  async load(device, options): Promise<OrtBuild> {
    if (device === "cpu") {
      throw new DeviceError("runtimeMissing", { device }, 'openDevice: a browser has no native device "cpu". Use "wasm" or "webgpu".');
    }
    if (device === "webgpu" && !("gpu" in navigator)) {
      throw new DeviceError(
        "noAdapter",
        { device },
        'openDevice: this browser offers no WebGPU here. Serve the page from https or localhost to a browser with WebGPU, or use "wasm".',
      );
    }
    // Two files: the WebGPU build is twice the download.
    const ort = device === "webgpu" ? await import("onnxruntime-web/webgpu") : await import("onnxruntime-web/wasm");
    const threads = startWasm(ort, options, globalThis.crossOriginIsolated ? navigator.hardwareConcurrency : 1);
    return { ort, version: ort.env.versions.web ?? "unknown", threads, native: false };
  },
};
