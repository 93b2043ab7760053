import { adamW, schedule } from "../../src/optim/index.ts";
import type { Device } from "../../src/runtime/index.ts";
import { type Batch, type ParameterValues, type TrainingMethod, train } from "../../src/train/index.ts";

export interface ShortTraining {
  readonly device: Device;
  readonly batchSize: number;
  readonly steps: number;
  readonly learningRate: number;
  at(index: number): Batch;
}

/** A method's parameters after some steps of each unit, one after another where that is possible. */
export async function trainedValues(
  method: TrainingMethod,
  { device, batchSize, steps, learningRate, at }: ShortTraining,
): Promise<ParameterValues> {
  const { values } = await train(method, {
    device,
    batches: { stepsPerEpoch: 10, at },
    batchSize,
    steps,
    optimizer: adamW({ weightDecay: 0 }),
    learningRate: schedule({ kind: "cosine", learningRate, warmupSteps: 20, totalSteps: steps, floor: 0.01 }),
    clipNorm: 1,
    seed: 1,
  });
  return values;
}

/** All parameters of a method by path, those that several units have once. */
export function allValues({ units }: TrainingMethod, values: ParameterValues): Map<string, Float32Array> {
  return new Map(
    units.flatMap(({ trainable, frozen }) => [...trainable.keys(), ...frozen.keys()].map((path) => [path, values(path)] as const)),
  );
}
