import { FormatError } from "../errors.ts";
import { asFloat32, type TypedArray } from "../formats/index.ts";
import type { Checkpoint, CheckpointStore, SavedTensor } from "../run/index.ts";
import type { Tensor } from "../tensor/index.ts";
import type { Unit } from "./method.ts";
import type { Trainer } from "./trainer.ts";

/**
 * Saves a unit whole: `value/PATH` for every parameter, `SLOT/PATH` for the optimiser's state, `ema/PATH` for the averages, `constant/NAME` for what
 * all units have in common. With the step number this is all that a run needs to go on as if it had never stopped.
 */
export async function saveUnit(
  store: CheckpointStore,
  trainer: Trainer,
  slots: readonly string[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<string> {
  await trainer.download();
  const { unit, state, steps } = trainer;
  const updates = Object.fromEntries([...unit.trainable.keys()].map((path) => [path, state.parameters.get(path)!.updates]));
  const common = new Set(Object.values(updates)).size === 1 ? String(steps) : JSON.stringify(updates);
  return store.save({ step: steps, tensors: savedTensors(trainer, slots), metadata: { ...metadata, updates: common } });
}

function* savedTensors({ unit, state }: Trainer, slots: readonly string[]): Generator<SavedTensor> {
  for (const [name, tensor] of unit.constants) {
    if (tensor.source?.kind === "constant") yield float32(`constant/${name}`, tensor, tensor.source.data as Float32Array);
  }
  for (const [path, tensor] of [...unit.trainable, ...unit.frozen]) {
    const one = state.parameters.get(path)!;
    yield float32(`value/${path}`, tensor, one.value);
    for (const [i, slot] of one.slots.entries()) yield float32(`${slots[i]}/${path}`, tensor, slot);
    if (one.ema.length > 0) yield float32(`ema/${path}`, tensor, one.ema);
  }
}

function float32(name: string, { shape }: Tensor, data: TypedArray): SavedTensor {
  return { name, dtype: "F32", shape, data };
}

/** Puts a checkpoint's state into a trainer, which then goes on from its step. Nothing is changed unless every array is there. */
export async function restoreUnit(trainer: Trainer, checkpoint: Checkpoint, slots: readonly string[]): Promise<void> {
  const { unit, state } = trainer;
  const arrays: [target: Float32Array, source: Float32Array][] = [];
  const copy = (target: Float32Array, name: string): void => void arrays.push([target, arrayOf(checkpoint, name, target.length)]);
  for (const path of [...unit.trainable.keys(), ...unit.frozen.keys()]) {
    const one = state.parameters.get(path)!;
    copy(one.value, `value/${path}`);
    for (const [i, slot] of one.slots.entries()) copy(slot, `${slots[i]}/${path}`);
    if (one.ema.length > 0) copy(one.ema, `ema/${path}`);
  }
  for (const [target, source] of arrays) target.set(source);
  const updates = JSON.parse(checkpoint.metadata.updates ?? "0") as number | Record<string, number>;
  for (const path of unit.trainable.keys())
    state.parameters.get(path)!.updates = typeof updates === "number" ? updates : (updates[path] ?? 0);
  await trainer.resume(checkpoint.step);
}

function arrayOf(checkpoint: Checkpoint, name: string, length: number): Float32Array {
  const tensor = checkpoint.tensors.get(name);
  const array = tensor && asFloat32(tensor);
  if (array?.length === length) return array;
  throw new FormatError(
    "missingTensor",
    { path: checkpoint.path, name },
    `${checkpoint.path} has no "${name}" of ${length} values; it was written by another version. Train this unit again in another folder.`,
  );
}

/** The parameters that prediction uses, by path: the averages where they were kept, else the values. */
export function predictionValues(unit: Unit, checkpoint: Checkpoint): Map<string, Float32Array> {
  return new Map(
    [...unit.trainable, ...unit.frozen].map(([path, { shape }]) => {
      const length = shape.reduce((product, d) => product * d, 1);
      return [path, arrayOf(checkpoint, checkpoint.tensors.has(`ema/${path}`) ? `ema/${path}` : `value/${path}`, length)] as const;
    }),
  );
}
