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

/** What a method's parameters are after some steps of each unit, one after another where that is possible. */
export async function trainedValues(
  method: TrainingMethod,
  { device, batchSize, steps, learningRate, at }: ShortTraining,
): Promise<ParameterValues> {
  const own = new Map<string, Float32Array>();
  await train(method, {
    device,
    batches: { stepsPerEpoch: 10, at },
    batchSize,
    steps,
    schedule: method.independentUnits || method.inOrder ? "sequential" : "interleaved",
    optimizer: adamW({ weightDecay: 0 }),
    learningRate: schedule({ kind: "cosine", learningRate, warmupSteps: 20, totalSteps: steps, floor: 0.01 }),
    clipNorm: 1,
    seed: 1,
    onUnitDone: ({ trainable }, learned) => {
      for (const path of trainable.keys()) own.set(path, learned(path).slice());
    },
  });
  return (path) => own.get(path)!;
}
