import { encodeModel } from "../onnx/index.ts";
import { fold, type Key, key } from "../random.ts";
import type { Device, Executable } from "../runtime/index.ts";
import { createProgram, type HostArray, rewritesFor } from "../tensor/index.ts";
import { argMax } from "./classification.ts";
import type { CallProgram, Classifier, TrainingMethod, Unit } from "./method.ts";
import { parameterNames } from "./step.ts";

/** The value of a parameter, by its path in the run. */
export type ParameterValues = (path: string) => Float32Array;

/** A method's programs on a device, with the parameters as they are when they run. */
export interface Caller extends AsyncDisposable {
  readonly call: CallProgram;
  dispose(): Promise<void>;
}

/** Compiles a method's programs when they are first needed. */
export function createCaller(
  method: TrainingMethod,
  { device, values, batchSize }: { device: Device; values: ParameterValues; batchSize: number },
): Caller {
  const traced = method.programs(batchSize);
  const names = parameterNames(method.units);
  const compiled = new Map<string, Promise<Executable>>();

  const executable = (name: string): Promise<Executable> => {
    let found = compiled.get(name);
    if (found === undefined) {
      const program = createProgram(traced[name]!, { names, rewrites: rewritesFor(device.name) });
      found = device.compile(encodeModel(program, { hideShapes: device.name !== "webgpu" }), { spinning: false });
      compiled.set(name, found);
    }
    return found;
  };

  const call: CallProgram = async (name, feeds) => {
    const one = await executable(name);
    const all = one.program.inputs.map(({ name: input }) => [input, feeds[input] ?? values(input)] as const);
    return (await one.run(Object.fromEntries(all))) as Record<string, HostArray>;
  };

  async function dispose(): Promise<void> {
    for (const one of compiled.values()) await (await one).dispose();
    compiled.clear();
  }

  return { call, dispose, [Symbol.asyncDispose]: dispose };
}

/** A classifier on a device. */
export interface Predictor extends Caller {
  /** Class scores [batch, classes] for a full batch of inputs, by all units or by one alone. */
  predict(input: HostArray, randomness: Key, unit?: Unit): Promise<Float32Array>;
}

export function createPredictor(
  method: Classifier,
  options: { readonly device: Device; readonly values: ParameterValues; readonly batchSize: number },
): Predictor {
  const caller = createCaller(method, options);
  return { ...caller, predict: (input, randomness, unit) => method.predict(caller.call, input, options.batchSize, randomness, unit) };
}

/** A labelled batch of which the first `count` items are real and the rest padding. */
export interface LabelledBatch {
  readonly input: HostArray;
  readonly labels: Int32Array;
  readonly count: number;
}

/** How many items of each class there are, and how many of them were recognised. */
export interface ClassCounts {
  readonly totals: Int32Array;
  readonly hits: Int32Array;
}

/** What a method recognises, by all units or by one alone. */
export async function classCounts(
  predictor: Predictor,
  batches: Iterable<LabelledBatch>,
  numClasses: number,
  seed: number,
  unit?: Unit,
): Promise<ClassCounts> {
  const counts = { totals: new Int32Array(numClasses), hits: new Int32Array(numClasses) };
  let batch = 0;
  for (const { input, labels, count } of batches) {
    const predicted = argMax(await predictor.predict(input, fold(fold(key(seed), "evaluation"), batch++), unit), numClasses);
    for (let i = 0; i < count; i++) {
      const label = labels[i]!;
      counts.totals[label]!++;
      if (predicted[i] === label) counts.hits[label]!++;
    }
  }
  return counts;
}

/** Top-1 accuracy over all items, of all units or of one alone. */
export async function accuracyOf(
  predictor: Predictor,
  batches: Iterable<LabelledBatch>,
  numClasses: number,
  seed: number,
  unit?: Unit,
): Promise<number> {
  const { totals, hits } = await classCounts(predictor, batches, numClasses, seed, unit);
  return sum(hits) / sum(totals);
}

function sum(values: Int32Array): number {
  return values.reduce((total, value) => total + value, 0);
}
