import { encodeModel } from "../onnx/index.ts";
import type { Device, Executable } from "../runtime/index.ts";
import { attentionWeights, createProgram, type HostArray, rewritesFor } from "../tensor/index.ts";
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
  /** Told at every run of a program what its layers attend to, from the first to the last: their weights are further outputs of its graph. */
  readonly onAttention?: ((program: string, layers: readonly AttentionMap[]) => void) | undefined;
}

/** The weights of one attention layer. */
export interface AttentionMap {
  readonly shape: readonly [batch: number, heads: number, queries: number, keys: number];
  readonly data: Float32Array;
}

/** Runs a method's prediction programs on a device. */
export interface Caller extends AsyncDisposable {
  readonly call: Call;
  dispose(): Promise<void>;
}

/** Outputs of a program that are the weights of its attention layers. */
const attentionOutput = "attention/";

function attentionMaps({ program }: Executable, answer: Readonly<Record<string, Float32Array>>): readonly AttentionMap[] {
  const found = program.outputs.filter(({ name }) => name.startsWith(attentionOutput));
  return found.map(({ name, shape }) => ({ shape: shape as AttentionMap["shape"], data: answer[name]! }));
}

/** Makes a caller. A program is traced and compiled when it is first called, once for each program value. */
export function createCaller(method: Pick<TrainingMethod, "units">, { device, values, batchSize, onAttention }: CallerOptions): Caller {
  const names = parameterNames(method.units);
  const compiled = new Map<PredictionProgram, Promise<Executable>>();

  const compile = (program: PredictionProgram): Promise<Executable> => {
    const outputs = traceProgram(program, batchSize);
    const attended = onAttention === undefined ? [] : attentionWeights(Object.values(outputs));
    const layers = Object.fromEntries(attended.map((weights, i) => [`${attentionOutput}${i}`, weights]));
    const traced = createProgram({ ...outputs, ...layers }, { names, rewrites: rewritesFor(device.name) });
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
    const answer = (await executable.run(Object.fromEntries(inputs))) as Record<Out, Float32Array>;
    onAttention?.(program.name, attentionMaps(executable, answer));
    return answer;
  };

  async function dispose(): Promise<void> {
    for (const executable of compiled.values()) await (await executable).dispose();
    compiled.clear();
  }

  return { call, dispose, [Symbol.asyncDispose]: dispose };
}
