import { encodeModel } from "../onnx/index.ts";
import type { Device, Executable } from "../runtime/index.ts";
import { createProgram, type HostArray, rewritesFor } from "../tensor/index.ts";
import type { TrainingMethod } from "./method.ts";
import { type Call, type PredictionProgram, traceProgram } from "./program.ts";
import { parameterNames } from "./step.ts";

/** The value of a parameter, by its path in the run. */
export type ParameterValues = (path: string) => Float32Array;

export interface CallerOptions {
  readonly device: Device;
  /** Asked at every call, so that programs run with the parameters as they then are. */
  readonly values: ParameterValues;
  readonly batchSize: number;
}

/** Runs a method's prediction programs on a device. */
export interface Caller extends AsyncDisposable {
  readonly call: Call;
  dispose(): Promise<void>;
}

/** Makes a caller. A program is traced and compiled when it is first called, once for each program value. */
export function createCaller(method: Pick<TrainingMethod, "units">, { device, values, batchSize }: CallerOptions): Caller {
  const names = parameterNames(method.units);
  const compiled = new Map<PredictionProgram, Promise<Executable>>();

  const compile = (program: PredictionProgram): Promise<Executable> => {
    const traced = createProgram(traceProgram(program, batchSize), { names, rewrites: rewritesFor(device.name) });
    return device.compile(encodeModel(traced, { hideShapes: device.name !== "webgpu" }), { spinning: false });
  };

  const call: Call = async <In extends string, Out extends string>(
    program: PredictionProgram<In, Out>,
    feeds: Readonly<Record<In, HostArray>>,
  ) => {
    if (!compiled.has(program)) compiled.set(program, compile(program));
    const executable = await compiled.get(program)!;
    const given: Readonly<Record<string, HostArray>> = feeds;
    const inputs = executable.program.inputs.map(({ name }) => [name, given[name] ?? values(name)] as const);
    return (await executable.run(Object.fromEntries(inputs))) as Record<Out, Float32Array>;
  };

  async function dispose(): Promise<void> {
    for (const executable of compiled.values()) await (await executable).dispose();
    compiled.clear();
  }

  return { call, dispose, [Symbol.asyncDispose]: dispose };
}
