import { FormatError, TrainingError } from "../errors.ts";
import { sizeOf } from "../tensor/index.ts";
import type { Unit } from "./method.ts";
import type { SavedState, StateArray, StateToSave, UnitStore } from "./runStore.ts";
import type { Trainer } from "./trainer.ts";

/**
 * Saves a unit whole: `value/PATH` for every parameter, `SLOT/PATH` for the optimiser's state, `ema/PATH` for the
 * averages, `constant/NAME` for the method's constants. With the step number this is all that a run needs to resume
 * as if it had never stopped.
 *
 * @returns where it was saved, for messages.
 * @throws {TrainingError} what {@link checkWeights} finds; nothing is saved then.
 * @throws {RunError} if the store refuses.
 */
export async function saveUnit(
  store: UnitStore,
  trainer: Trainer,
  { metadata = {}, isBest = false }: Pick<Partial<StateToSave>, "metadata" | "isBest"> = {},
): Promise<string> {
  await checkWeights(trainer);
  const { unit, state, steps } = trainer;
  const updates = Object.fromEntries([...unit.trainable.keys()].map((path) => [path, state.parameters.get(path)!.updates]));
  const counts = new Set(Object.values(updates));
  const common = counts.size === 1 ? String([...counts][0]) : JSON.stringify(updates);
  return store.save({ step: steps, arrays: stateArrays(trainer), metadata: { ...metadata, updates: common }, isBest });
}

/** Beyond this a float32 no longer holds the updates of a common learning rate: 1e4 · 2⁻²⁴ = 6e-4. */
const largestWeight = 1e4;

/**
 * Looks at every number that a trainer would save.
 *
 * @throws {TrainingError} `absurdWeights` for a weight, an average or a number of the optimiser's state that is not finite, or a weight
 *   above ten thousand.
 */
export async function checkWeights(trainer: Trainer): Promise<void> {
  await trainer.download();
  const { unit, state, steps } = trainer;
  for (const path of unit.trainable.keys()) {
    for (const [name, data] of Object.entries(state.arraysOf(path))) {
      const found = firstBeyond(data, name === "value" || name === "ema" ? largestWeight : Number.MAX_VALUE);
      if (found === undefined) continue;
      const message = `${unit.name}, step ${steps}: a number of ${name}/${path} is ${found}; weights up to ${largestWeight} make sense. Training has diverged, and this state is not saved. Lower the learning rate.`;
      throw new TrainingError("absurdWeights", { unit: unit.name, step: steps, path, name, found }, message);
    }
  }
}

/** The first number that is not finite, or larger than `limit`. */
function firstBeyond(data: Float32Array, limit: number): number | undefined {
  for (let i = 0; i < data.length; i++) if (!(Math.abs(data[i]!) <= limit)) return data[i]!;
  return undefined;
}

function* stateArrays({ unit, state }: Trainer): Generator<readonly [name: string, array: StateArray]> {
  for (const [name, { source, shape }] of unit.constants) {
    if (source?.kind === "constant") yield [`constant/${name}`, { shape, data: source.data as Float32Array }];
  }
  for (const [path, { shape }] of [...unit.trainable, ...unit.frozen]) {
    for (const [name, data] of Object.entries(state.arraysOf(path))) yield [`${name}/${path}`, { shape, data }];
  }
}

/**
 * The state of a unit before its first step, with parameters from elsewhere. The optimiser's state is zero and averages are the values
 * then, see {@link restoreUnit}: neither is kept, a large network would be four times as large.
 */
export function* startArrays(
  { constants, trainable, frozen }: Unit,
  values: (path: string) => Float32Array,
): Generator<readonly [name: string, array: StateArray]> {
  for (const [name, { source, shape }] of constants)
    if (source?.kind === "constant") yield [`constant/${name}`, { shape, data: source.data as Float32Array }];
  for (const [path, { shape }] of [...trainable, ...frozen]) yield [`value/${path}`, { shape, data: values(path) }];
}

/**
 * Puts a saved state into a trainer, which then resumes from its step. Nothing is changed unless every array is there;
 * before the first step the values suffice.
 *
 * @throws {FormatError} `missingTensor` if one is missing or has another size.
 */
export async function restoreUnit(trainer: Trainer, saved: SavedState): Promise<void> {
  const { unit, state } = trainer;
  const targets = [...unit.trainable.keys(), ...unit.frozen.keys()].flatMap((path) =>
    Object.entries(state.arraysOf(path)).map(([name, data]) => ({ name, path, data })),
  );
  const sources = targets.map(({ name, path, data: { length } }) => {
    const isGiven = saved.step > 0 || name === "value" || saved.arrays.has(`${name}/${path}`);
    if (!isGiven && name !== "ema") return undefined; // zero
    return arrayOf(saved, isGiven ? `${name}/${path}` : `value/${path}`, length);
  });
  for (const [i, { data }] of targets.entries()) sources[i] === undefined ? data.fill(0) : data.set(sources[i]);
  const updates = JSON.parse(saved.metadata.updates ?? "0") as number | Record<string, number>;
  for (const path of unit.trainable.keys())
    state.parameters.get(path)!.updates = typeof updates === "number" ? updates : (updates[path] ?? 0);
  await trainer.resume(saved.step);
}

/** The parameters that prediction uses, by path: the averages where they were kept, else the values. */
export function predictionValues(unit: Unit, saved: SavedState): Map<string, Float32Array> {
  return new Map(
    [...unit.trainable, ...unit.frozen].map(([path, { shape }]) => {
      const name = saved.arrays.has(`ema/${path}`) ? `ema/${path}` : `value/${path}`;
      return [path, arrayOf(saved, name, sizeOf(shape))] as const;
    }),
  );
}

function arrayOf({ arrays, source }: SavedState, name: string, length: number): Float32Array {
  const data = arrays.get(name)?.data;
  if (data?.length === length) return data;
  throw new FormatError(
    "missingTensor",
    { source, name },
    `${source} has no "${name}" of ${length} values; it was written by another version. Train this unit again in another folder.`,
  );
}
