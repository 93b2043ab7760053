import { availableParallelism } from "node:os";
import { DeviceError, UsageError } from "../errors.ts";
import { collectGarbage } from "./garbage.ts";
import type { OrtBuild, OrtPlatform } from "./platform.ts";
import { startWasm } from "./wasmThreads.ts";

/** ONNX Runtime in Node: the native package where it is installed, and onnxruntime-web's WASM build, which runs in Node as well. */
export const platform: OrtPlatform = {
  automatic: ["cpu", "wasm"],
  async load(device, options): Promise<OrtBuild> {
    checkThreads(options.threads);
    if (device === "wasm") {
      const ort = await import("onnxruntime-web");
      const threads = startWasm(ort, options, options.threads ?? availableParallelism());
      return { ort, version: ort.env.versions.web ?? "unknown", threads, native: false };
    }
    const ort = await loadNative(device);
    return {
      ort,
      version: ort.env.versions.node ?? "unknown",
      threads: options.threads ?? availableParallelism(),
      native: true,
      collectGarbage,
    };
  },
};

/** @throws {UsageError} beyond what helps any machine: ONNX Runtime would start thousands of threads that get nothing done. */
function checkThreads(threads: number | undefined): void {
  const most = Math.max(64, 4 * availableParallelism());
  if (threads === undefined || (Number.isInteger(threads) && threads >= 1 && threads <= most)) return;
  const message = `openDevice: --threads ${threads}: from 1 to ${most} are possible here, with ${availableParallelism()} cores.`;
  throw new UsageError("threads", { threads, most }, message);
}

/**
 * onnxruntime-node is an optional dependency: it is imported on first use. From 1.30 on it reports sessions and devices to its makers, keeps
 * an identifier in the home folder and leaves a log of each process among the temporary files: all of that is turned off, unless somebody
 * has set ORT_DISABLE_TELEMETRY otherwise.
 */
async function loadNative(device: string): Promise<typeof import("onnxruntime-node")> {
  process.env.ORT_DISABLE_TELEMETRY ??= "1"; // read when the library starts
  try {
    return await import("onnxruntime-node");
  } catch (cause) {
    throw new DeviceError(
      "runtimeMissing",
      { device, package: "onnxruntime-node" },
      `openDevice: device "${device}" needs the package onnxruntime-node, which is not installed or does not load here ` +
        `(${process.platform} ${process.arch}). Run "npm install --ignore-scripts onnxruntime-node", or use the device "wasm".`,
      { cause },
    );
  }
}
