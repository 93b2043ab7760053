import { platform } from "#ort";
import { DeviceError } from "../errors.ts";
import { openDevice } from "./device.ts";
import type { DeviceName } from "./platform.ts";

/** The state of one backend on this machine, in words for people. */
export interface BackendReport {
  readonly name: DeviceName;
  readonly available: boolean;
  /** The version of ONNX Runtime that serves it. */
  readonly version?: string;
  readonly detail: string;
  /** The remedy, where something is missing. */
  readonly fix?: string;
}

/**
 * Tries every backend by opening it, which for WebGPU looks for an adapter. Takes a second or two.
 *
 * @returns one report for each of cpu, webgpu and wasm.
 */
export async function availableBackends(): Promise<readonly BackendReport[]> {
  const reports: BackendReport[] = [];
  for (const name of ["cpu", "webgpu", "wasm"] as const) reports.push(await tryBackend(name));
  return reports;
}

async function tryBackend(name: DeviceName): Promise<BackendReport> {
  try {
    const device = await openDevice(name);
    const { version, threads } = device;
    await device.dispose();
    return { name, available: true, version, detail: name === "webgpu" ? "found an adapter" : `${threads} threads` };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    const where = platform.automatic.includes("cpu") ? "node" : "browser";
    const kind = error instanceof DeviceError && error.code in fixes ? (error.code as keyof typeof fixes) : "other";
    return { name, available: false, detail, fix: fixes[kind][where] };
  }
}

/** The remedy for each kind of failure. */
const fixes = {
  runtimeMissing: {
    node: "npm install --ignore-scripts onnxruntime-node (its install script fetches files for CUDA that are not used, and npm drops the package where that fails)",
    browser: "run it in Node; a browser has wasm and webgpu",
  },
  noAdapter: {
    node: "install the graphics card's driver, on Linux also libvulkan1 (apt-get install libvulkan1)",
    browser: "use a browser with WebGPU, over https or localhost",
  },
  other: {
    node: "npm install --ignore-scripts onnxruntime-web onnxruntime-node",
    browser: "serve onnxruntime-web's .wasm files and pass their address as wasmPaths",
  },
} as const;
