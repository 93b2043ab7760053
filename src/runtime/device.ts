import type { InferenceSession, Tensor as OrtTensor } from "onnxruntime-web";
import { platform } from "#ort";
import { DeviceError } from "../errors.ts";
import type { DType, HostArray, TensorType } from "../tensor/index.ts";
import { type DeviceTensor, OrtDeviceTensor } from "./deviceTensor.ts";
import { checkHostArray } from "./hostArrays.ts";
import { identityModel } from "./identity.ts";
import type { DeviceName, OrtBuild, OrtOptions } from "./platform.ts";
import { serially } from "./serial.ts";
import { type CompileOptions, compileProgram, createSession, type Engine, type Executable, type ProgramBytes } from "./session.ts";

/** A device that runs programs. Disposing it releases its programs as well; tensors are disposed by their holders. */
export interface Device extends AsyncDisposable {
  readonly name: DeviceName;
  /** Threads of one operator; on WebGPU those of operators that fall back to the CPU. */
  readonly threads: number;
  /** The version of ONNX Runtime. */
  readonly version: string;
  /**
   * Compiles a program for this device.
   *
   * @throws {DeviceError} if ONNX Runtime refuses the program, or the device was disposed.
   * @throws {FormatError} if the bytes have other inputs or outputs than `program` says.
   */
  compile(program: ProgramBytes, options?: CompileOptions): Promise<Executable>;
  /** A copy of `array` in the device's memory. @throws {ShapeError} if type or length do not fit `spec`. */
  upload(array: HostArray, spec: TensorType): Promise<DeviceTensor>;
  /** A copy of `tensor` on the host. The tensor stays. @throws {DeviceError} if it was disposed or is another device's. */
  download(tensor: DeviceTensor): Promise<HostArray>;
  dispose(): Promise<void>;
}

export interface OpenOptions extends OrtOptions {
  /** Called with one sentence when "auto" could not take its first choice. */
  readonly onNotice?: (message: string) => void;
}

/**
 * Opens a device. `auto` is the native CPU where onnxruntime-node is installed and otherwise WASM, with a notice. A device asked
 * for by name is never replaced by another one.
 *
 * @throws {DeviceError} saying what to do, if the runtime package or a graphics adapter is missing.
 */
export async function openDevice(name: DeviceName | "auto", { onNotice, ...options }: OpenOptions = {}): Promise<Device> {
  if (name !== "auto") return open(name, options);
  const [first, ...others] = platform.automatic;
  try {
    return await open(first!, options);
  } catch (error) {
    const [second] = others;
    if (second === undefined || !(error instanceof DeviceError) || error.code !== "runtimeMissing") throw error;
    const device = await open(second, options);
    onNotice?.(
      `onnxruntime-node is not installed: running on ${second}, at about a third of its speed. To mend it: npm install --ignore-scripts onnxruntime-node`,
    );
    return device;
  }
}

async function open(name: DeviceName, options: OrtOptions): Promise<Device> {
  const build = await platform.load(name, options);
  build.ort.env.logLevel = "error";
  const device = new OrtDevice(name, build);
  if (name === "webgpu") await device.findAdapter();
  return device;
}

class OrtDevice implements Device, Engine {
  readonly name: DeviceName;
  readonly build: OrtBuild;
  readonly #executables = new Set<Executable>();
  /** Identity programs that carry tensors onto and off the GPU, by direction and element type. */
  readonly #carriers = new Map<string, InferenceSession>();
  #disposed = false;

  constructor(name: DeviceName, build: OrtBuild) {
    this.name = name;
    this.build = build;
  }

  get threads(): number {
    return this.build.threads;
  }

  get version(): string {
    return this.build.version;
  }

  /** ONNX Runtime looks for an adapter when it creates its first session. */
  findAdapter(): Promise<void> {
    return this.#work(async () => {
      await this.#carrier("up", "float32");
    });
  }

  async compile(program: ProgramBytes, options: CompileOptions = {}): Promise<Executable> {
    this.#assertOpen();
    const executable = await compileProgram(this, program, options, (self) => this.#executables.delete(self));
    this.#executables.add(executable);
    return executable;
  }

  upload(array: HostArray, { dtype, shape }: TensorType): Promise<DeviceTensor> {
    return this.#work(async () => {
      checkHostArray("input", { name: "upload", dtype, shape }, array, !this.build.native);
      const onHost = this.name === "webgpu" ? array : array.slice();
      const tensor = new this.build.ort.Tensor(dtype, onHost, shape);
      return new OrtDeviceTensor(this, this.name === "webgpu" ? await this.#carry("up", dtype, tensor) : tensor, dtype);
    });
  }

  download(tensor: DeviceTensor): Promise<HostArray> {
    return this.#work(async () => {
      if (!(tensor instanceof OrtDeviceTensor)) {
        throw new DeviceError(
          "notADeviceTensor",
          {},
          "download: this is no tensor of a device. Pass what upload() or run() with keep returned.",
        );
      }
      const source = tensor.on(this);
      if (this.name !== "webgpu") return (source.data as HostArray).slice();
      return (await this.#carry("down", tensor.dtype, source)).data as HostArray;
    });
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await Promise.all([...this.#executables].map((executable) => executable.dispose()));
    await serially(async () => {
      for (const session of this.#carriers.values()) await session.release();
      this.#carriers.clear();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #work<T>(job: () => Promise<T>): Promise<T> {
    this.#assertOpen();
    return serially(job);
  }

  #assertOpen(): void {
    if (this.#disposed)
      throw new DeviceError("deviceDisposed", { device: this.name }, `The device "${this.name}" was disposed. Open it again.`);
  }

  async #carry(direction: "up" | "down", dtype: DType, tensor: OrtTensor): Promise<OrtTensor> {
    const session = await this.#carrier(direction, dtype);
    return (await session.run({ x: tensor })).y!;
  }

  async #carrier(direction: "up" | "down", dtype: DType): Promise<InferenceSession> {
    const key = `${direction} ${dtype}`;
    let session = this.#carriers.get(key);
    if (session === undefined) {
      session = await createSession(this, identityModel(dtype), { keep: new Set(direction === "up" ? ["y"] : []) });
      this.#carriers.set(key, session);
    }
    return session;
  }
}
