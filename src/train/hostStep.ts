import { encodeModel } from "../onnx/index.ts";
import { fold, type Key } from "../random.ts";
import type { Device } from "../runtime/index.ts";
import type { Batch } from "./method.ts";
import { preparation } from "./preparation.ts";
import type { UnitState } from "./state.ts";
import { batchFeeds, emaDecayAt, gradientProgram, RandomFeeds, type StepConfig, type StepRunner, scalarsOf } from "./step.ts";

/** CPU: the graph ends at the gradients, which land in the arena; the optimiser's kernels update the parameters in place. */
export async function hostStepRunner(device: Device, state: UnitState, config: StepConfig): Promise<StepRunner> {
  const { unit, optimizer, clipNorm, emaDecay } = config;
  const { executable, inputs, outputs } = await compiled(device, config);
  const random = new RandomFeeds({ inputs });
  const prepared = preparation(device, state, config);
  const trained = [...unit.trainable.keys()].map((path) => ({ path, state: state.parameters.get(path)! }));
  const values = Object.fromEntries(
    [...state.parameters].filter(([path]) => inputs.some(({ name }) => name === path)).map(([path, { value }]) => [path, value]),
  );
  const scalars = Object.fromEntries(outputs.filter((name) => !name.startsWith("gradient/")).map((name) => [name, new Float32Array(1)]));
  const into = { ...scalars, ...Object.fromEntries(trained.map(({ path, state: { gradient } }) => [`gradient/${path}`, gradient])) };
  const sums = new Map<string, Float32Array>();

  const gradientOf = async (batch: Batch, microKey: Key): Promise<Record<string, number>> => {
    const own = await prepared.feeds(batch, microKey);
    await executable.run({ ...values, ...batchFeeds({ inputs }, batch), ...own, ...random.draw(microKey) }, { into });
    return Object.fromEntries(Object.entries(scalars).map(([name, [value]]) => [name, value!]));
  };

  /** Several batches: gradients are added up outside the arena and put back as their sum. */
  const accumulate = async (batches: readonly Batch[], stepKey: Key): Promise<Record<string, number>[]> => {
    const results: Record<string, number>[] = [];
    for (const [i, batch] of batches.entries()) {
      results.push(await gradientOf(batch, fold(stepKey, i)));
      for (const {
        path,
        state: { gradient },
      } of trained) {
        const sum = sums.get(path);
        if (i === 0) sum ? sum.set(gradient) : sums.set(path, gradient.slice());
        else addInto(sum!, gradient);
      }
    }
    for (const {
      path,
      state: { gradient },
    } of trained)
      gradient.set(sums.get(path)!);
    return results;
  };

  return {
    run: async (batches, stepKey, learningRate) => {
      const results = batches.length === 1 ? [await gradientOf(batches[0]!, fold(stepKey, 0))] : await accumulate(batches, stepKey);
      const mean = 1 / batches.length;
      const gradientNorm =
        mean * Math.sqrt(trained.reduce((sum, { state: { gradient, kernels } }) => sum + kernels.sumSquares(gradient), 0));
      const report = scalarsOf(results, gradientNorm);
      if (!Number.isFinite(report.loss) || !Number.isFinite(gradientNorm)) return report;
      const gradScale = mean * clipFactor(gradientNorm, clipNorm);
      for (const { state: one } of trained) {
        one.updates++;
        optimizer.updateHost(one.kernels, one.value, one.gradient, one.slots, optimizer.settings(one.updates, learningRate, gradScale));
        if (emaDecay !== undefined) one.kernels.lerp(one.ema, one.value, emaDecayAt(emaDecay, one.updates));
      }
      return report;
    },
    download: async () => {},
    upload: async () => {},
    [Symbol.asyncDispose]: async () => {
      await prepared[Symbol.asyncDispose]();
      await executable.dispose();
    },
  };
}

/** The program, and what its caller must know of it: the graph itself, which is large, is not held. */
async function compiled(device: Device, { method, unit, batchSize, memory }: StepConfig) {
  const program = gradientProgram(method, unit, batchSize, memory);
  const executable = await device.compile(encodeModel(program, { hideShapes: true }));
  return { executable, inputs: program.inputs, outputs: program.outputs.map(({ name }) => name) };
}

function addInto(sum: Float32Array, addend: Float32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i]! += addend[i]!;
}

function clipFactor(norm: number, limit: number): number {
  return norm > limit ? limit / (norm + 1e-6) : 1;
}
