import { DeviceError } from "../errors.ts";
import type { Ort, OrtOptions } from "./platform.ts";

/** The thread count with which each loaded WASM build starts; it cannot change after the first session. */
const started = new WeakMap<object, number>();

/**
 * Sets up onnxruntime-web's WASM build before its first session.
 *
 * @param available the most threads that may be used: 1 where memory cannot be shared between threads.
 * @returns the number of threads in use.
 * @throws {DeviceError} if another number of threads is asked for after the build has started.
 */
export function startWasm(ort: Ort, { threads, wasmPaths }: OrtOptions, available: number): number {
  const running = started.get(ort.env);
  if (running !== undefined) {
    if (threads !== undefined && Math.min(threads, available) !== running) {
      throw new DeviceError(
        "wasmThreads",
        { threads, running },
        `openDevice: the WASM runtime already runs with ${running} threads and cannot change to ${threads}. Pass the same number at the first call.`,
      );
    }
    return running;
  }
  const count = Math.min(threads ?? available, available);
  ort.env.wasm.numThreads = count;
  if (wasmPaths !== undefined) ort.env.wasm.wasmPaths = wasmPaths;
  started.set(ort.env, count);
  return count;
}
