import { TrainingError } from "../errors.ts";
import type { LayerMemory } from "../nn/index.ts";
import type { Optimizer } from "../optim/index.ts";
import { fold, key } from "../random.ts";
import type { Device } from "../runtime/index.ts";
import { deviceStepRunner } from "./deviceStep.ts";
import { hostStepRunner } from "./hostStep.ts";
import type { Batch, TrainingMethod, Unit } from "./method.ts";
import { type ParameterState, UnitState } from "./state.ts";
import type { StepRunner, StepScalars } from "./step.ts";

export interface TrainerConfig extends LayerMemory {
  readonly unit: Unit;
  readonly device: Device;
  /** Items in one run of the graph; a step of k batches updates from k times as many. */
  readonly batchSize: number;
  readonly optimizer: Optimizer;
  /** The learning rate of a step, counted from 0, of a unit. */
  readonly learningRate: (step: number, unit: string) => number;
  readonly seed: number;
  readonly clipNorm?: number;
  readonly emaDecay?: number | undefined;
  /** Parameters that other units of this run hold already. */
  readonly shared?: ReadonlyMap<string, ParameterState>;
}

export interface StepReport extends StepScalars {
  /** Counted from 1: the number of updates after this one. */
  readonly step: number;
  readonly learningRate: number;
  /** Duration of the step, without the making of its batches. */
  readonly stepMs: number;
}

/** Trains one unit of a method, step by step. */
export interface Trainer extends AsyncDisposable {
  readonly unit: Unit;
  readonly state: UnitState;
  /** Updates made so far. */
  readonly steps: number;
  /**
   * One update from one batch, or from the mean gradient of several.
   *
   * @param rateScale a factor on the learning rate.
   * @throws {TrainingError} if the loss or the gradient is not finite; the state is then as it was before the step.
   */
  step(batches: Batch | readonly Batch[], rateScale?: number): Promise<StepReport>;
  /** Counts a step that makes no update. */
  skip(): void;
  /** Back to the initial values and to step 0. */
  reset(): Promise<void>;
  /** Brings `state` up to date where the truth lives on a device. */
  download(): Promise<void>;
  /** Resumes after `steps` updates with the values that were put into `state`. */
  resume(steps: number): Promise<void>;
  /** After the last step: gives back the memory in which steps were made; `state` is up to date and stays. */
  release(): Promise<void>;
  dispose(): Promise<void>;
}

/**
 * Compiles the training step of one unit and allocates its state; no other unit's parameters are held. Every random number of step s is a
 * function of (seed, unit, s).
 */
export async function createTrainer(method: TrainingMethod, config: TrainerConfig): Promise<Trainer> {
  const { unit, device, optimizer, learningRate, seed } = config;
  const state = new UnitState(unit, { seed, slots: optimizer.slots, ema: config.emaDecay !== undefined }, config.shared);
  const unitKey = fold(fold(key(seed), "steps"), unit.name);
  const stepConfig = {
    method,
    unit,
    batchSize: config.batchSize,
    optimizer,
    memory: config,
    clipNorm: config.clipNorm ?? Number.POSITIVE_INFINITY,
    emaDecay: config.emaDecay,
  };
  const create = device.name === "webgpu" ? deviceStepRunner : hostStepRunner;
  let runner: StepRunner | undefined = await create(device, state, stepConfig).catch((error: unknown) => {
    state.dispose();
    throw error;
  });
  let steps = 0;

  async function release(): Promise<void> {
    await runner?.download();
    await runner?.[Symbol.asyncDispose]();
    runner = undefined;
  }

  async function dispose(): Promise<void> {
    await runner?.[Symbol.asyncDispose]();
    state.dispose();
  }

  return {
    unit,
    state,
    get steps() {
      return steps;
    },
    step: async (batches, rateScale = 1) => {
      if (runner === undefined) throw new Error("internal: a step after the trainer was released");
      const started = performance.now();
      const rate = rateScale * learningRate(steps, unit.name);
      const list = Array.isArray(batches) ? (batches as readonly Batch[]) : [batches as Batch];
      const scalars = await runner.run(list, fold(unitKey, steps), rate);
      if (!Number.isFinite(scalars.loss) || !Number.isFinite(scalars.gradientNorm)) throw notFinite(unit, steps + 1, scalars);
      steps++;
      return { ...scalars, step: steps, learningRate: rate, stepMs: performance.now() - started };
    },
    skip: () => void steps++,
    reset: async () => {
      state.reset();
      steps = 0;
      await runner?.upload();
    },
    download: async () => runner?.download(),
    resume: async (done) => {
      steps = done;
      await runner?.upload();
    },
    release,
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}

function notFinite(unit: Unit, step: number, { loss, gradientNorm }: StepScalars): TrainingError {
  const what = Number.isFinite(loss) ? `the gradient norm is ${gradientNorm}` : `the loss is ${loss}`;
  return new TrainingError(
    "notFinite",
    { unit: unit.name, step, loss, gradientNorm },
    `${unit.name}, step ${step}: ${what}. The parameters are those of the step before. Look for NaN or huge values in the data, lower the learning rate, or clip the gradient (clipNorm).`,
  );
}
