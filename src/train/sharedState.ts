import { UsageError } from "../errors.ts";
import type { Tensor } from "../tensor/index.ts";
import type { TrainingMethod, Unit } from "./method.ts";
import { type ParameterState, UnitState } from "./state.ts";
import type { TrainOptions } from "./trainOptions.ts";

/**
 * The parameters that several units of a group have, held once: updated by each unit that trains them, and seen by all.
 *
 * @returns undefined if there are none.
 * @throws {UsageError} `sharedOnDevice` if they are trained on a device where each unit's parameters live in memory of its own.
 */
export function sharedState(
  { order }: TrainingMethod,
  group: readonly Unit[],
  { device, seed, optimizer, emaDecay }: TrainOptions,
): UnitState | undefined {
  const paths = group.flatMap(({ trainable, frozen }) => [...trainable.keys(), ...frozen.keys()]);
  const several = new Set(paths.filter((path, i) => paths.indexOf(path) !== i));
  const shared = (kind: "trainable" | "frozen"): [string, Tensor][] =>
    group.flatMap((unit) => [...unit[kind]].filter(([path]) => several.has(path)));
  const trainable = new Map(shared("trainable"));
  if (device.name === "webgpu" && (trainable.size > 0 || (group.length > 1 && order.averaging !== undefined))) {
    const units = group.map(({ name }) => name);
    const message = `${units.join(", ")} share parameters that are trained; on webgpu each holds its own. Train them with --device cpu, or let blocks own their parameters.`;
    throw new UsageError("sharedOnDevice", { device: device.name, units }, message);
  }
  if (several.size === 0) return undefined;
  const frozen = new Map(shared("frozen").filter(([path]) => !trainable.has(path)));
  const unit: Unit = { name: "shared", trainable, frozen, constants: new Map(), layerEvaluations: 0 };
  return new UnitState(unit, { seed, slots: optimizer.slots, ema: emaDecay !== undefined });
}

/** Each group of parameters becomes its mean. */
export function averageParameters(groups: readonly (readonly string[])[], parameters: ReadonlyMap<string, ParameterState>): void {
  for (const group of groups) {
    const members = group.map((path) => parameters.get(path)!.value);
    for (let i = 0; i < members[0]!.length; i++) {
      const mean = members.reduce((sum, member) => sum + member[i]!, 0) / members.length;
      for (const member of members) member[i] = mean;
    }
  }
}
