import { UsageError } from "../errors.ts";
import { encodeModel } from "../onnx/index.ts";
import { fold } from "../random.ts";
import type { Device, DeviceTensor } from "../runtime/index.ts";
import {
  add,
  createProgram,
  div,
  type HostArray,
  input,
  minimum,
  mul,
  type Program,
  reduceSum,
  rewritesFor,
  sqrt,
  square,
  sub,
  type Tensor,
} from "../tensor/index.ts";
import { preparation } from "./preparation.ts";
import type { UnitState } from "./state.ts";
import {
  batchFeeds,
  emaDecayAt,
  parameterNames,
  RandomFeeds,
  renamed,
  type StepConfig,
  type StepRunner,
  scalarOutputs,
  scalarsOf,
  traceStep,
} from "./step.ts";

/** The whole step as one program: parameters, optimiser state and averages go in and come out, and never leave the device. */
export function fullStepProgram({ method, unit, batchSize, optimizer, memory, clipNorm, emaDecay }: StepConfig): Program {
  const { objective, gradients } = traceStep(method, unit, batchSize, memory);
  const settingNames = Object.keys(optimizer.settings(1, 1, 1));
  const settings = Object.fromEntries(settingNames.map((name) => [name, input(`setting/${name}`, [])]));
  const norm = sqrt([...gradients.values()].map((g) => reduceSum(square(g))).reduce((a, b) => add(a, b)));
  const clip = Number.isFinite(clipNorm) ? minimum(1, div(clipNorm, add(norm, 1e-6))) : undefined;
  const scaled = { ...settings, gradScale: clip === undefined ? settings.gradScale! : mul(settings.gradScale!, clip) };
  const decay = input("setting/emaDecay", []);
  const next: Record<string, Tensor> = {};
  for (const [path, value] of unit.trainable) {
    const slots = optimizer.slots.map((slot) => input(`${slot}/${path}`, value.shape));
    const updated = optimizer.updateTraced(value, gradients.get(path)!, slots, scaled);
    next[`value/${path}`] = updated.value;
    for (const [i, slot] of optimizer.slots.entries()) next[`${slot}/${path}`] = updated.slots[i]!;
    if (emaDecay !== undefined) next[`ema/${path}`] = add(mul(input(`ema/${path}`, value.shape), decay), mul(updated.value, sub(1, decay)));
  }
  const names = new Map([...parameterNames([unit])].map(([tensor, path]) => [tensor, `value/${path}`]));
  return createProgram(
    { ...scalarOutputs(objective), gradientNorm: norm, ...renamed(new Map(Object.entries(next)), "next") },
    { names, rewrites: rewritesFor("webgpu") },
  );
}

/** WebGPU: state lives in device memory; each step's outputs become the next step's inputs. */
export async function deviceStepRunner(device: Device, state: UnitState, config: StepConfig): Promise<StepRunner> {
  const program = fullStepProgram(config);
  const kept = new Set(program.outputs.flatMap(({ name }) => (name.startsWith("next/") ? [name] : [])));
  const executable = await device.compile(encodeModel(program), { keep: kept });
  const random = new RandomFeeds(program);
  const shapes = new Map([...config.unit.trainable, ...config.unit.frozen].map(([path, { shape }]) => [path, shape]));
  const held = new Map<string, DeviceTensor>();

  /** Host arrays by the name under which the program takes them. */
  const hostArrays = (): [name: string, path: string, data: Float32Array][] =>
    [...state.parameters.keys()].flatMap((path) =>
      Object.entries(state.arraysOf(path)).map(([name, data]): [string, string, Float32Array] => [`${name}/${path}`, path, data]),
    );

  const replace = (name: string, tensor: DeviceTensor): void => {
    held.get(name)?.dispose();
    held.set(name, tensor);
  };

  const upload = async (): Promise<void> => {
    for (const [name, path, data] of hostArrays()) replace(name, await device.upload(data, { dtype: "float32", shape: shapes.get(path)! }));
  };

  const download = async (): Promise<void> => {
    for (const [name, , data] of hostArrays()) data.set((await device.download(held.get(name)!)) as Float32Array);
  };

  await upload();
  const prepared = preparation(device, state, config, download);
  return {
    run: async (batches, stepKey, learningRate) => {
      const [batch] = batches;
      if (batches.length !== 1)
        throw new UsageError(
          "accumulate",
          { batches: batches.length },
          `Gradient accumulation runs on the CPU only: on ${device.name} give one batch a step (accumulate = 1).`,
        );
      const updates = 1 + Math.max(...[...config.unit.trainable.keys()].map((path) => state.parameters.get(path)!.updates));
      const settings = Object.entries(config.optimizer.settings(updates, learningRate, 1)).map(
        ([name, value]) => [`setting/${name}`, Float32Array.of(value)] as const,
      );
      const candidates: Record<string, HostArray | DeviceTensor> = {
        ...Object.fromEntries(held),
        ...Object.fromEntries(settings),
        ...(config.emaDecay !== undefined && { "setting/emaDecay": Float32Array.of(emaDecayAt(config.emaDecay, updates)) }),
        ...batchFeeds(program, batch!),
        ...(await prepared.feeds(batch!, fold(stepKey, 0))),
        ...random.draw(fold(stepKey, 0)),
      };
      const feeds = Object.fromEntries(program.inputs.map(({ name }) => [name, candidates[name]!]));
      const results = await executable.run(feeds);
      const scalars = Object.fromEntries(
        Object.entries(results).flatMap(([name, value]) => (kept.has(name) ? [] : [[name, Number((value as Float32Array)[0])]])),
      );
      const report = scalarsOf([scalars], scalars.gradientNorm!);
      const fine = Number.isFinite(report.loss) && Number.isFinite(report.gradientNorm);
      for (const name of kept) {
        const tensor = results[name] as DeviceTensor;
        if (fine) replace(name.slice("next/".length), tensor);
        else tensor.dispose();
      }
      if (fine) for (const path of config.unit.trainable.keys()) state.parameters.get(path)!.updates = updates;
      return report;
    },
    download,
    upload,
    [Symbol.asyncDispose]: async () => {
      await prepared[Symbol.asyncDispose]();
      for (const tensor of held.values()) tensor.dispose();
      held.clear();
      await executable.dispose();
    },
  };
}
