import type { Tensor as OrtTensor } from "onnxruntime-web";
import { DeviceError } from "../errors.ts";
import { type DType, type Shape, showShape } from "../tensor/index.ts";

/** Numbers in a device's memory. They stay there until `dispose`, which is due when the tensor is replaced. */
export interface DeviceTensor extends Disposable {
  readonly dtype: DType;
  readonly shape: Shape;
  /** Releases the memory. A second call does nothing; any other use afterwards is an error. */
  dispose(): void;
}

/** A tensor as ONNX Runtime holds it. `owner` is the device that made it: memory of one device means nothing to another. */
export class OrtDeviceTensor implements DeviceTensor {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly owner: object;
  #tensor: OrtTensor | undefined;

  constructor(owner: object, tensor: OrtTensor, dtype: DType) {
    this.owner = owner;
    this.dtype = dtype;
    this.shape = tensor.dims;
    this.#tensor = tensor;
  }

  /**
   * The tensor itself, for use on `device`.
   *
   * @throws {DeviceError} after `dispose`, or on another device than the tensor's own.
   */
  on(device: object): OrtTensor {
    if (this.#tensor === undefined) {
      throw new DeviceError(
        "tensorDisposed",
        { dtype: this.dtype, shape: this.shape },
        `A ${this.dtype}${showShape(this.shape)} tensor was used after dispose(). Use the tensor that replaced it.`,
      );
    }
    if (device !== this.owner) {
      throw new DeviceError(
        "otherDevice",
        { dtype: this.dtype, shape: this.shape },
        "A tensor of one device was given to another. Download it from its own device and upload it to this one.",
      );
    }
    return this.#tensor;
  }

  dispose(): void {
    this.#tensor?.dispose();
    this.#tensor = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
