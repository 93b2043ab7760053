import type { LayerMemory } from "../nn/index.ts";
import type { Optimizer } from "../optim/index.ts";
import { fold, type Key, key } from "../random.ts";
import { ancestors, createProgram, grad, type HostArray, hostArray, input, type Program, sizeOf, type Tensor } from "../tensor/index.ts";
import type { Batch, Objective, TrainingMethod, Unit } from "./method.ts";

export interface StepConfig {
  readonly method: TrainingMethod;
  readonly unit: Unit;
  readonly batchSize: number;
  readonly optimizer: Optimizer;
  readonly memory: LayerMemory;
  /** Largest global norm of the gradient; larger gradients are scaled down to it. Infinity leaves them. */
  readonly clipNorm: number;
  /** Decay of the moving average of the parameters in the long run, or undefined for none; see {@link emaDecayAt}. */
  readonly emaDecay: number | undefined;
}

/**
 * The decay of the moving average at an update, counted from 1: short at first, (1 + n)/(10 + n), so that the initial values are soon
 * forgotten.
 */
export function emaDecayAt(decay: number, update: number): number {
  return Math.min(decay, (1 + update) / (10 + update));
}

/** The scalars that a step reports. */
export interface StepScalars {
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly gradientNorm: number;
}

/** Runs training steps of one unit on one device. A step that throws has changed nothing. */
export interface StepRunner extends AsyncDisposable {
  /** One update from the mean gradient of these batches, each of the configured size. */
  run(batches: readonly Batch[], stepKey: Key, learningRate: number): Promise<StepScalars>;
  /** Brings the host's copy of the state up to date. */
  download(): Promise<void>;
  /** Takes the host's copy of the state over, after it was restored. */
  upload(): Promise<void>;
}

/** The key under which an objective is traced: each random tensor derives from it, and at run time from the step's key too. */
const tracingKey = key("objective");

export interface TracedStep {
  readonly objective: Objective;
  readonly gradients: ReadonlyMap<string, Tensor>;
}

/** The objective of one unit and the gradients of its trainable parameters, as symbols. */
export function traceStep(method: TrainingMethod, unit: Unit, batchSize: number, memory: LayerMemory = {}): TracedStep {
  const { dtype, shape } = method.inputType(batchSize);
  const batch = { input: input("input", shape, dtype), labels: input("labels", [batchSize], "int32") };
  const objective = method.objective(unit, batch, tracingKey, memory);
  const gradients = grad(objective.loss, [...unit.trainable.values()]);
  const traced = [...unit.trainable].map(([path, parameter], i) => ({ path, parameter, gradient: gradients[i]! }));
  return { objective, gradients: new Map(inOrderOfUse(objective.loss, traced).map(({ path, gradient }) => [path, gradient])) };
}

interface TracedGradient {
  readonly path: string;
  readonly parameter: Tensor;
  readonly gradient: Tensor;
}

/**
 * Gradients in the order in which the forward pass first uses their parameters: then every activation dies as early as it can (see
 * `createProgram`). Where seams stop gradients, those of the last block come first in the list and are computed last: the activations of
 * a block are gone before the next one is run.
 */
function inOrderOfUse(loss: Tensor, traced: readonly TracedGradient[]): readonly TracedGradient[] {
  const used = new Map<Tensor, number>();
  for (const [i, { inputs }] of ancestors([loss]).entries()) for (const tensor of inputs) if (!used.has(tensor)) used.set(tensor, i);
  // The last parameter in the order of the forward pass on which a value depends: a gradient that no seam stops depends on the last of all.
  const isParameter = new Set(traced.map(({ parameter }) => parameter));
  const reach = new Map<Tensor, number>();
  const reachOf = (tensor: Tensor): number => (isParameter.has(tensor) ? used.get(tensor)! : (reach.get(tensor) ?? -1));
  for (const { inputs, outputs } of ancestors(traced.map(({ gradient }) => gradient))) {
    const last = Math.max(-1, ...inputs.map(reachOf));
    for (const output of outputs) reach.set(output, last);
  }
  const use = ({ parameter }: TracedGradient): number => used.get(parameter) ?? 0;
  return [...traced].sort((a, b) => reachOf(b.gradient) - reachOf(a.gradient) || use(a) - use(b));
}

/** Parameter names for programs. */
export function parameterNames(units: readonly Unit[]): Map<Tensor, string> {
  return new Map(units.flatMap((unit) => [...unit.trainable, ...unit.frozen].map(([path, tensor]) => [tensor, path] as const)));
}

/**
 * The program of a step whose optimiser runs outside: loss, metrics, and one gradient for each trainable parameter, in the order of their
 * use.
 */
export function gradientProgram(method: TrainingMethod, unit: Unit, batchSize: number, memory: LayerMemory = {}): Program {
  const { objective, gradients } = traceStep(method, unit, batchSize, memory);
  return createProgram({ ...scalarOutputs(objective), ...renamed(gradients, "gradient") }, { names: parameterNames([unit]) });
}

export function scalarOutputs({ loss, metrics }: Objective): Record<string, Tensor> {
  return { loss, ...Object.fromEntries(Object.entries(metrics).map(([name, tensor]) => [`metric/${name}`, tensor])) };
}

export function renamed<T>(entries: ReadonlyMap<string, T>, prefix: string): Record<string, T> {
  return Object.fromEntries([...entries].map(([path, value]) => [`${prefix}/${path}`, value]));
}

/** The random inputs of a program, drawn anew for each run into arrays that are kept. */
export class RandomFeeds {
  readonly feeds: Record<string, HostArray> = {};
  private readonly sources: { readonly key: Key; readonly out: HostArray; readonly fill: (out: HostArray, key: Key) => void }[] = [];

  constructor({ inputs }: Pick<Program, "inputs">) {
    for (const { name, tensor } of inputs) {
      if (tensor.source?.kind !== "random") continue;
      const out = hostArray(tensor.dtype, sizeOf(tensor.shape));
      this.feeds[name] = out;
      this.sources.push({ key: tensor.source.key, out, fill: tensor.source.sampler.fill });
    }
  }

  draw(stepKey: Key): Record<string, HostArray> {
    for (const { key: own, out, fill } of this.sources) fill(out, fold(fold(stepKey, own.hi), own.lo));
    return this.feeds;
  }
}

/** Where nothing random or no label is used, the program has no such input. */
export function batchFeeds(program: Pick<Program, "inputs">, batch: Batch): Record<string, HostArray> {
  return Object.fromEntries(Object.entries(batch).filter(([name]) => program.inputs.some((spec) => spec.name === name))) as Record<
    string,
    HostArray
  >;
}

/** The mean of the scalars of several runs. */
export function scalarsOf(results: readonly Readonly<Record<string, number>>[], gradientNorm: number): StepScalars {
  const average = (name: string): number => results.reduce((sum, result) => sum + result[name]!, 0) / results.length;
  const metrics = Object.keys(results[0]!).filter((name) => name.startsWith("metric/"));
  return {
    loss: average("loss"),
    metrics: Object.fromEntries(metrics.map((name) => [name.slice("metric/".length), average(name)])),
    gradientNorm,
  };
}
