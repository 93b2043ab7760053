import type { InferenceSession, Tensor as OrtTensor } from "onnxruntime-web";
import { DeviceError, FormatError, ShapeError, UsageError } from "../errors.ts";
import type { OnnxModel, TensorSpec } from "../onnx/index.ts";
import { type HostArray, sameShape, showShape } from "../tensor/index.ts";
import { type DeviceTensor, OrtDeviceTensor } from "./deviceTensor.ts";
import { checkHostArray } from "./hostArrays.ts";
import type { DeviceName, OrtBuild } from "./platform.ts";
import { serially } from "./serial.ts";

export type { TensorSpec };

/** A graph as ONNX bytes, with the names, types and shapes of what goes in and comes out (`encodeModel` makes it). */
export type ProgramBytes = OnnxModel;

export interface CompileOptions {
  /**
   * `disabled` (default) runs the graph as written, in the order that the memory plan assumed; `all` lets ONNX Runtime rewrite it.
   * Common subexpressions are never merged: that would undo activation checkpointing.
   */
  readonly optimization?: "disabled" | "all";
  /** Outputs that stay on the device in every run; the default of `run`'s own `keep`. */
  readonly keep?: ReadonlySet<string>;
  /** Refuse to compile if an operator would fall back from the device to the CPU, with copies both ways. Default: false. */
  readonly strictPlacement?: boolean;
  /**
   * Whether idle threads wait for the next run by spinning. That is fastest for one program that runs again and again; where
   * several programs take turns, the threads of one would spin while another runs. Default: true.
   */
  readonly spinning?: boolean;
  /** Native CPU: where ONNX Runtime's own profile of every run goes when the program is disposed, PROFILE_date.json. */
  readonly profile?: string;
}

export interface RunOptions {
  /** Arrays to be filled in place, by output name. They must not overlap a feed of the same run. */
  readonly into?: Readonly<Record<string, HostArray>>;
  /**
   * Outputs that stay on the device and come back as DeviceTensors, which the caller disposes. On WebGPU every new set of
   * names compiles the program once more, so use few; default: `keep` of `compile`.
   */
  readonly keep?: ReadonlySet<string>;
}

/** A compiled program on a device. Disposing releases its memory; it waits for runs that were asked for before. */
export interface Executable extends AsyncDisposable {
  readonly program: ProgramBytes;
  /**
   * Runs the program once. Feeds, by input name, are host arrays (read in place on the CPU) or tensors of the same device.
   * Every output comes back under its name: the array of `into` where one was given, a DeviceTensor where kept, else a fresh array.
   *
   * @throws {UsageError} if a name is missing or unknown.
   * @throws {ShapeError} if an array or tensor has the wrong type or size. Both before anything is computed.
   * @throws {DeviceError} after `dispose`, or if the device refuses.
   */
  run(feeds: Readonly<Record<string, HostArray | DeviceTensor>>, options?: RunOptions): Promise<Record<string, HostArray | DeviceTensor>>;
  dispose(): Promise<void>;
}

/** A device as its sessions see it. The object itself is the owner of the tensors made on it. */
export interface Engine {
  readonly name: DeviceName;
  readonly build: OrtBuild;
}

/** Copies are freed before they grow beyond this size. */
const manyBytes = 16e6;
/** Bytes of a program from which on what it was made from is worth a collection. */
const longProgram = 1e5;
const nothing: ReadonlySet<string> = new Set();

/** Compiles `program`; the executable calls `released` when its memory is gone. Errors: see `Device.compile`. */
export async function compileProgram(
  engine: Engine,
  program: ProgramBytes,
  options: CompileOptions,
  released: (self: Executable) => void,
): Promise<Executable> {
  const executable = new OrtExecutable(engine, program, options, released);
  await serially(() => executable.prepare());
  return executable;
}

class OrtExecutable implements Executable {
  readonly program: ProgramBytes;
  readonly #engine: Engine;
  readonly #options: CompileOptions;
  readonly #released: (self: Executable) => void;
  /** One session for each set of outputs that stay on the device: ONNX Runtime fixes an output's place when it compiles. */
  readonly #sessions = new Map<string, InferenceSession>();
  #disposed = false;
  /** By runs since they were last freed. */
  #copiedBytes = 0;
  #hasRun = false;

  constructor(engine: Engine, program: ProgramBytes, options: CompileOptions, released: (self: Executable) => void) {
    this.#engine = engine;
    this.program = program;
    this.#options = options;
    this.#released = released;
  }

  async prepare(): Promise<void> {
    const keep = this.#options.keep ?? nothing;
    checkNames("compile", "output to keep", [...keep], this.program.outputs);
    await this.#sessionFor(keep);
  }

  run(
    feeds: Readonly<Record<string, HostArray | DeviceTensor>>,
    options: RunOptions = {},
  ): Promise<Record<string, HostArray | DeviceTensor>> {
    if (this.#disposed) return Promise.reject(disposedError());
    return serially(async () => {
      const { into = {}, keep = this.#options.keep ?? nothing } = options;
      const inputs = this.#inputs(feeds);
      const fetches = this.#fetches(into, keep);
      const session = await this.#sessionFor(keep);
      this.#freeGraph();
      this.#freeCopies(into);
      const results = await session.run(inputs, fetches).catch((cause: unknown) => {
        throw new DeviceError(
          "runFailed",
          { device: this.#engine.name },
          `run: ONNX Runtime stopped on ${this.#engine.name}: ${messageOf(cause)}`,
          { cause },
        );
      });
      return Object.fromEntries(this.program.outputs.map((spec) => [spec.name, this.#output(spec, results[spec.name]!, into, keep)]));
    });
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await serially(async () => {
      for (const session of this.#sessions.values()) {
        if (this.#options.profile !== undefined) session.endProfiling();
        await session.release();
      }
      this.#sessions.clear();
    });
    this.#released(this);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #inputs(feeds: Readonly<Record<string, HostArray | DeviceTensor>>): Record<string, OrtTensor> {
    const { inputs } = this.program;
    checkNames("run", "input", Object.keys(feeds), inputs);
    const missing = inputs.filter(({ name }) => feeds[name] === undefined).map(({ name }) => name);
    if (missing.length > 0) {
      throw new UsageError(
        "missingFeed",
        { missing },
        `run: no value for ${quoted(missing)}. The program needs ${quoted(inputs.map(({ name }) => name))}.`,
      );
    }
    return Object.fromEntries(inputs.map((spec) => [spec.name, this.#input(spec, feeds[spec.name]!)]));
  }

  #input(spec: TensorSpec, value: HostArray | DeviceTensor): OrtTensor {
    if (!(value instanceof OrtDeviceTensor)) return this.#overArray("input", spec, value as HostArray);
    const tensor = value.on(this.#engine);
    if (value.dtype !== spec.dtype || !sameShape(value.shape, spec.shape)) {
      throw new ShapeError(
        "tensorShape",
        { name: spec.name, expected: spec, given: { dtype: value.dtype, shape: value.shape } },
        `run: input "${spec.name}" is ${spec.dtype}${showShape(spec.shape)}; a tensor ${value.dtype}${showShape(value.shape)} was given.`,
      );
    }
    return tensor;
  }

  #fetches(into: Readonly<Record<string, HostArray>>, keep: ReadonlySet<string>): Record<string, OrtTensor | null> {
    const { outputs } = this.program;
    checkNames("run", "output to fill", Object.keys(into), outputs);
    checkNames("run", "output to keep", [...keep], outputs);
    return Object.fromEntries(
      outputs.map((spec) => {
        const array = into[spec.name];
        if (array === undefined) return [spec.name, null];
        if (keep.has(spec.name)) {
          throw new UsageError(
            "keepAndFill",
            { name: spec.name },
            `run: output "${spec.name}" is to stay on the device and to fill an array. Choose one.`,
          );
        }
        const tensor = this.#overArray("output", spec, array);
        return [spec.name, this.#engine.build.native ? tensor : null];
      }),
    );
  }

  /** The traced graph and its encoding, 4 kB a node, are garbage by the first run; of two collections, the second gives pages back. */
  #freeGraph(): void {
    if (this.#hasRun) return;
    this.#hasRun = true;
    if (this.program.bytes.length < longProgram) return;
    this.#engine.build.collectGarbage?.();
    this.#engine.build.collectGarbage?.();
  }

  /**
   * The native binding copies every output into an array of its own, also where it filled the caller's; without a collection
   * on demand the copies pile up.
   */
  #freeCopies(into: Readonly<Record<string, HostArray>>): void {
    const { collectGarbage } = this.#engine.build;
    if (collectGarbage === undefined) return;
    this.#copiedBytes += Object.values(into).reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (this.#copiedBytes < manyBytes) return;
    collectGarbage();
    this.#copiedBytes = 0;
  }

  #output(
    spec: TensorSpec,
    tensor: OrtTensor,
    into: Readonly<Record<string, HostArray>>,
    keep: ReadonlySet<string>,
  ): HostArray | DeviceTensor {
    if (keep.has(spec.name)) return new OrtDeviceTensor(this.#engine, tensor, spec.dtype);
    const array = into[spec.name];
    if (array === undefined) return tensor.data as HostArray;
    if (!this.#engine.build.native) (array as Float32Array).set(tensor.data as Float32Array);
    return array;
  }

  /** An ONNX Runtime tensor over the caller's own memory. */
  #overArray(role: "input" | "output", spec: TensorSpec, array: HostArray): OrtTensor {
    const { ort, native } = this.#engine.build;
    checkHostArray(role, spec, array, !native);
    return new ort.Tensor(spec.dtype, array, spec.shape);
  }

  async #sessionFor(keep: ReadonlySet<string>): Promise<InferenceSession> {
    const onGpu = this.#engine.name === "webgpu" ? [...keep].sort() : [];
    const key = JSON.stringify(onGpu);
    let session = this.#sessions.get(key);
    if (session === undefined) {
      session = await createSession(this.#engine, this.program.bytes, { ...this.#options, keep: new Set(onGpu) });
      this.#sessions.set(key, session);
      checkSession(session, this.program);
    }
    return session;
  }
}

/**
 * Creates one session with the settings that training wants: no memory pattern (it doubles the peak), no merging of common
 * subexpressions (it undoes checkpointing), the arena on (it is faster), outputs placed as asked. Call it inside `serially`.
 */
export async function createSession({ name, build }: Engine, bytes: Uint8Array, options: CompileOptions): Promise<InferenceSession> {
  const { optimization = "disabled", keep = nothing, strictPlacement = false, spinning = true, profile } = options;
  try {
    return await build.ort.InferenceSession.create(bytes, {
      executionProviders: [name],
      graphOptimizationLevel: optimization,
      enableMemPattern: false,
      logSeverityLevel: 3,
      ...(profile !== undefined && { enableProfiling: true, profileFilePrefix: profile }),
      ...(build.native ? { intraOpNumThreads: build.threads } : {}),
      ...(keep.size > 0 ? { preferredOutputLocation: Object.fromEntries([...keep].map((output) => [output, "gpu-buffer" as const])) } : {}),
      extra: {
        optimization: { disable_specified_optimizers: "CommonSubexpressionElimination" },
        session: {
          ...(strictPlacement && { disable_cpu_ep_fallback: "1" }),
          ...(build.native && !spinning && { intra_op: { allow_spinning: "0" } }),
        },
      },
    });
  } catch (cause) {
    const reason = messageOf(cause);
    if (/adapter/i.test(reason)) {
      throw new DeviceError(
        "noAdapter",
        { device: name },
        'openDevice: WebGPU found no graphics adapter. On Linux install libvulkan1 and the card\'s driver, and see "dblocks doctor"; ' +
          'or use the device "cpu" or "wasm".',
        { cause },
      );
    }
    throw new DeviceError("compileFailed", { device: name }, `compile: ONNX Runtime refused the program on ${name}: ${reason}`, { cause });
  }
}

function checkSession({ inputNames, outputNames }: InferenceSession, { inputs, outputs }: ProgramBytes): void {
  const same = (names: readonly string[], specs: readonly TensorSpec[]): boolean =>
    names.length === specs.length && specs.every(({ name }) => names.includes(name));
  if (!same(inputNames, inputs) || !same(outputNames, outputs)) {
    throw new FormatError(
      "programNames",
      { inputNames, outputNames },
      `compile: the model has inputs ${quoted(inputNames)} and outputs ${quoted(outputNames)}, not those that come with its bytes.`,
    );
  }
}

function checkNames(call: string, role: string, names: readonly string[], specs: readonly TensorSpec[]): void {
  const known = new Set(specs.map(({ name }) => name));
  const unknown = names.filter((name) => !known.has(name));
  if (unknown.length > 0) {
    throw new UsageError(
      "unknownName",
      { role, unknown },
      `${call}: ${quoted(unknown)} is no ${role} of the program, which has ${quoted([...known])}.`,
    );
  }
}

function disposedError(): DeviceError {
  return new DeviceError("executableDisposed", {}, "run: the program was disposed. Compile it again.");
}

function quoted(names: readonly string[]): string {
  const shown = names.slice(0, 8).map((name) => `"${name}"`);
  return names.length > 8 ? `${shown.join(", ")} and ${names.length - 8} more` : shown.join(", ");
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
