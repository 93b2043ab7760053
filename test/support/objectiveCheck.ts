import type { LayerMemory } from "../../src/nn/index.ts";
import { encodeModel } from "../../src/onnx/index.ts";
import { fold, type Key, key, normal } from "../../src/random.ts";
import type { Device } from "../../src/runtime/index.ts";
import { type HostArray, sizeOf } from "../../src/tensor/index.ts";
import type { Batch, TrainingMethod, Unit } from "../../src/train/index.ts";
import { batchFeeds, gradientProgram, RandomFeeds } from "../../src/train/step.ts";

/** The value that a parameter has in a check. */
export type ParameterAt = (path: string, initial: Float32Array) => Float32Array;

export interface ObjectiveResult {
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
  /** Of the traced derivative along a direction in all trained parameters, against central differences. */
  readonly gradientError: number;
  /** By path. */
  readonly gradients: ReadonlyMap<string, Float32Array>;
}

export interface ObjectiveCheck {
  readonly at?: ParameterAt;
  readonly seed?: Key;
  readonly memory?: LayerMemory;
  /** The feeds that the method would prepare for the step. */
  readonly prepared?: Readonly<Record<string, HostArray>>;
}

/** The objective of a unit for one batch and one draw of what is random, at the initial parameters or what `at` makes of them. */
export async function objectiveResult(
  device: Device,
  method: TrainingMethod,
  unit: Unit,
  batch: Batch,
  { at = (_, initial) => initial, seed = key("objective check"), memory = {}, prepared = {} }: ObjectiveCheck = {},
): Promise<ObjectiveResult> {
  const program = gradientProgram(method, unit, batch.labels.length, memory);
  const executable = await device.compile(encodeModel(program));
  const parameters = new Map(
    [...unit.trainable, ...unit.frozen].map(([path, tensor]) => {
      const out = new Float32Array(sizeOf(tensor.shape));
      if (tensor.source?.kind === "parameter") tensor.source.initializer.fill(out, fold(seed, path), tensor.shape);
      return [path, at(path, out)] as const;
    }),
  );
  const random = new RandomFeeds(program).draw(seed);
  const wanted = [...parameters].filter(([path]) => program.inputs.some(({ name }) => name === path));
  const run = async (moved: (path: string, value: Float32Array) => Float32Array): Promise<Record<string, HostArray>> => {
    const values = Object.fromEntries(wanted.map(([path, value]) => [path, moved(path, value)]));
    return (await executable.run({ ...values, ...batchFeeds(program, batch), ...prepared, ...random })) as Record<string, HostArray>;
  };
  const scalar = (results: Record<string, HostArray>, name = "loss"): number => Number(results[name]![0]);
  try {
    const here = await run((_, value) => value);
    const gradients = new Map([...unit.trainable.keys()].map((path) => [path, here[`gradient/${path}`] as Float32Array]));
    const directions = new Map([...gradients].map(([path, gradient]) => [path, varied(gradient, fold(seed, path))]));
    const traced = [...gradients].reduce((sum, [path, gradient]) => sum + dot(gradient, directions.get(path)!), 0);
    // Far enough for float32, not across many kinks: the loss moves by a thousandth.
    const step = (1e-3 * Math.abs(scalar(here))) / traced;
    const along = (sign: number) => run((path, value) => value.map((x, i) => x + sign * step * (directions.get(path)?.[i] ?? 0)));
    const [ahead, behind] = [await along(1), await along(-1)];
    const measured = (scalar(ahead) - scalar(behind)) / (2 * step);
    const metrics = Object.keys(here).filter((name) => name.startsWith("metric/"));
    return {
      loss: scalar(here),
      metrics: Object.fromEntries(metrics.map((name) => [name.slice("metric/".length), scalar(here, name)])),
      gradients,
      gradientError: Math.abs(traced - measured) / Math.max(Math.abs(traced), Math.abs(measured)),
    };
  } finally {
    await executable.dispose();
  }
}

/** A direction near the gradient's, so that the loss moves, but not it: each number of it is multiplied by 1 + n/2, n ~ N(0, 1). */
function varied(gradient: Float32Array, seed: Key): Float32Array {
  const out = new Float32Array(gradient.length);
  normal(seed, out);
  return out.map((n, i) => gradient[i]! * (1 + n / 2));
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, x, i) => sum + x * b[i]!, 0);
}
