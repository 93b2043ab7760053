/** Element types of a graph. Numbers are float32; labels and indices are int32; masks are bool; int64 serves ONNX's own shape inputs. */
export type DType = "float32" | "int32" | "int64" | "bool";

/** The typed array that holds elements of each dtype on the host. */
export interface HostArrays {
  float32: Float32Array;
  int32: Int32Array;
  int64: BigInt64Array;
  bool: Uint8Array;
}

export type HostArray = HostArrays[DType];

export const bytesPerElement: Readonly<Record<DType, number>> = { float32: 4, int32: 4, int64: 8, bool: 1 };

/** A zeroed host array of `length` elements. */
export function hostArray<T extends DType>(dtype: T, length: number): HostArrays[T] {
  switch (dtype) {
    case "float32":
      return new Float32Array(length) as HostArrays[T];
    case "int32":
      return new Int32Array(length) as HostArrays[T];
    case "int64":
      return new BigInt64Array(length) as HostArrays[T];
    default:
      return new Uint8Array(length) as HostArrays[T];
  }
}
