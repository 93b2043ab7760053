import { DeviceError, UsageError } from "../../errors.ts";
import { hasWasmKernels, type Kernels, wasmKernels } from "./kernels.ts";
import { referenceKernels } from "./reference.ts";

const pageBytes = 65_536;
const maxBytes = 65_536 * pageBytes;
const pooledAtMost = 2;

/** One block of memory for parameters, gradients and optimiser state, and the kernels that work on it in place. */
export interface Arena extends Disposable {
  /** Bytes asked for; the memory behind it is a whole number of pages of 64 KiB. */
  readonly byteLength: number;
  readonly kernels: Kernels;
  /**
   * `length` floats from float `offsetFloats` on, as a view, zero at first. ONNX Runtime reads such views as feeds and
   * fills them as outputs without a copy of its own.
   *
   * @throws {UsageError} if the range leaves the arena, or after `dispose`.
   */
  view(offsetFloats: number, length: number): Float32Array<ArrayBuffer>;
  /** Hands the memory back for the next arena. Views taken before must not be used any more. A second call does nothing. */
  dispose(): void;
}

/** WebAssembly.Memory has no free: memory waits here for the next arena instead of for the garbage collector. */
const pool: WebAssembly.Memory[] = [];

/**
 * Allocates the whole arena at once: growing a WebAssembly memory later would detach every view. The memory is not shared,
 * because onnxruntime-node refuses views of a SharedArrayBuffer. Memory of a disposed arena is used again where it fits
 * (at most twice the size asked for), zeroed. Where there is no WebAssembly SIMD, an ordinary buffer and the JavaScript kernels serve.
 *
 * @param byteLength a whole number of bytes from 0 to 4 GiB, the reach of 32-bit WebAssembly: with AdamW (parameter,
 * gradient and two moments) 268 million parameters.
 * @throws {UsageError} if `byteLength` is not such a number.
 * @throws {DeviceError} if the system refuses the memory.
 */
export function allocateArena(byteLength: number): Arena {
  if (!Number.isSafeInteger(byteLength) || byteLength < 0) {
    throw new UsageError("arenaBytes", { byteLength }, `allocateArena: byteLength is ${byteLength}; a whole number of bytes is expected.`);
  }
  if (byteLength > maxBytes) {
    throw new UsageError(
      "arenaTooLarge",
      { byteLength, maxBytes },
      `allocateArena: ${(byteLength / 2 ** 30).toFixed(1)} GiB asked for; one arena holds at most 4 GiB (268 million parameters with AdamW). ` +
        "Cut the network into more blocks, so that each block's state fits, or train on a WebGPU device.",
    );
  }
  const memory = hasWasmKernels() ? takeMemory(byteLength) : undefined;
  const buffer = (memory?.buffer ?? new ArrayBuffer(byteLength)) as ArrayBuffer;
  let disposed = false;

  function dispose(): void {
    if (disposed) return;
    disposed = true;
    if (memory !== undefined) returnMemory(memory);
  }

  return {
    byteLength,
    kernels: memory === undefined ? referenceKernels : wasmKernels(memory),
    view(offsetFloats, length) {
      if (disposed)
        throw new UsageError("arenaDisposed", {}, "arena.view: the arena was disposed; its memory may serve another one by now.");
      const fits = Number.isSafeInteger(offsetFloats) && Number.isSafeInteger(length) && offsetFloats >= 0 && length >= 0;
      if (!fits || (offsetFloats + length) * 4 > byteLength) {
        throw new UsageError(
          "arenaRange",
          { offsetFloats, length, byteLength },
          `arena.view: floats ${offsetFloats} to ${offsetFloats + length} asked for; the arena holds ${Math.floor(byteLength / 4)}.`,
        );
      }
      return new Float32Array(buffer, offsetFloats * 4, length);
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}

/** Forgets the memory of disposed arenas, so that the garbage collector may give it back to the system. */
export function drainArenaPool(): void {
  pool.length = 0;
}

function takeMemory(byteLength: number): WebAssembly.Memory {
  const pages = Math.max(1, Math.ceil(byteLength / pageBytes));
  const fitting = pool
    .filter(({ buffer }) => buffer.byteLength >= pages * pageBytes && buffer.byteLength <= 2 * pages * pageBytes)
    .sort((a, b) => a.buffer.byteLength - b.buffer.byteLength)[0];
  if (fitting !== undefined) {
    pool.splice(pool.indexOf(fitting), 1);
    new Uint8Array(fitting.buffer, 0, byteLength).fill(0);
    return fitting;
  }
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages });
  } catch (cause) {
    throw new DeviceError(
      "outOfMemory",
      { byteLength },
      `allocateArena: the system refused ${(byteLength / 2 ** 20).toFixed(0)} MiB. Use more blocks, or close other programs.`,
      { cause },
    );
  }
}

/** Keeps the most recently used memories: the next block's arena usually has the size of the last one's. */
function returnMemory(memory: WebAssembly.Memory): void {
  pool.push(memory);
  if (pool.length > pooledAtMost) pool.shift();
}
