import {
  type Context,
  defineModule,
  type Layer,
  layerNorm,
  mlp,
  namedParameters,
  plainContext,
  selfAttention,
  throughLayers,
} from "../nn/index.ts";
import { encodeModel } from "../onnx/index.ts";
import { adamW, schedule } from "../optim/index.ts";
import type { Device } from "../runtime/index.ts";
import { add, createProgram, input, matmul, mean, square, type Tensor } from "../tensor/index.ts";
import { createTrainer, independent, type TrainingMethod } from "../train/index.ts";

/**
 * A pre-norm transformer on given tokens, with the mean square of its output as the loss: the arithmetic of training
 * and nothing else.
 */
export interface BenchCase {
  readonly batch: number;
  readonly tokens: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
}

/** The shapes of docs and DESIGN: a small vision transformer, and two like language models. */
export const benchCases: readonly BenchCase[] = [
  { batch: 64, tokens: 66, width: 128, layers: 4, heads: 4 },
  { batch: 8, tokens: 66, width: 384, layers: 10, heads: 6 },
  { batch: 8, tokens: 256, width: 512, layers: 4, heads: 8 },
];

/** Multiplications and additions of forward and backward pass: 3 · 2 · (12 W² + 2 T W) for each token and layer. */
export function stepFlops({ batch, tokens, width, layers }: BenchCase): number {
  return 6 * batch * tokens * layers * (12 * width ** 2 + 2 * tokens * width);
}

/** The training method of a case, with one unit. */
export function benchMethod({ tokens, width, layers, heads }: BenchCase): TrainingMethod {
  const stack = Array.from({ length: layers }, (): Layer => {
    const parts = {
      norm1: layerNorm(width, 1e-5),
      attention: selfAttention({ width, numHeads: heads }),
      norm2: layerNorm(width, 1e-5),
      mlp: mlp({ width, hidden: 4 * width }),
    };
    return defineModule(parts, (h: Tensor, context: Context) => {
      const attended = add(h, parts.attention(parts.norm1(h), context));
      return add(attended, parts.mlp(parts.norm2(attended), context));
    });
  });
  const trainable = namedParameters({ parts: { layers: stack } });
  return {
    name: "bench",
    inputType: (batch) => ({ dtype: "float32", shape: [batch, tokens, width] }),
    units: [{ name: "network", trainable, frozen: new Map(), constants: new Map(), layerEvaluations: layers }],
    order: independent,
    objective: (_, { input: tokens }, __, memory) => ({
      loss: mean(square(throughLayers(stack, tokens, plainContext, memory))),
      metrics: {},
    }),
    programs: [],
  };
}

/** A training step that can be repeated: forward, backward, AdamW. */
export async function benchStepper(device: Device, one: BenchCase): Promise<{ step(): Promise<number>; dispose(): Promise<void> }> {
  const method = benchMethod(one);
  const learningRate = schedule({ kind: "constant", learningRate: 1e-3, warmupSteps: 0, totalSteps: 1, floor: 1 });
  const trainer = await createTrainer(method, {
    unit: method.units[0]!,
    device,
    batchSize: one.batch,
    optimizer: adamW(),
    learningRate,
    seed: 0,
  });
  const batch = {
    input: Float32Array.from({ length: one.batch * one.tokens * one.width }, (_, i) => Math.sin(i)),
    labels: new Int32Array(one.batch),
  };
  return {
    step: async () => {
      const start = performance.now();
      await trainer.step(batch);
      return performance.now() - start;
    },
    dispose: () => trainer.dispose(),
  };
}

/** GFLOP/s of the best of several products of two size × size matrices. */
export async function sgemmPeak(device: Device, size = 2048): Promise<number> {
  const product = encodeModel(createProgram({ y: matmul(input("a", [size, size]), input("b", [size, size])) }));
  const executable = await device.compile(product);
  const feeds = { a: new Float32Array(size * size).fill(0.5), b: new Float32Array(size * size).fill(0.25) };
  const into = { y: new Float32Array(size * size) };
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 6; i++) {
    const start = performance.now();
    await executable.run(feeds, { into });
    best = Math.min(best, performance.now() - start);
  }
  await executable.dispose();
  return (2 * size ** 3) / best / 1e6;
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
