import { encodeModel } from "../../src/onnx/index.ts";
import type { Device } from "../../src/runtime/index.ts";
import { createProgram, type HostArray, type Tensor } from "../../src/tensor/index.ts";

/** The numbers of traced tensors, with inputs and parameters (by the given names) fed from `feeds`. */
export async function evaluate<Name extends string>(
  device: Device,
  outputs: Readonly<Record<Name, Tensor>>,
  feeds: Readonly<Record<string, HostArray>> = {},
  names: ReadonlyMap<Tensor, string> = new Map(),
): Promise<Record<Name, Float32Array>> {
  const program = createProgram(outputs, { names });
  const executable = await device.compile(encodeModel(program));
  try {
    return (await executable.run(Object.fromEntries(program.inputs.map(({ name }) => [name, feeds[name]!])))) as Record<Name, Float32Array>;
  } finally {
    await executable.dispose();
  }
}
