import type { Key } from "../random.ts";
import type { Device } from "../runtime/index.ts";
import type { HostArray } from "../tensor/index.ts";
import { createCaller } from "./caller.ts";
import type { Batch } from "./method.ts";
import type { UnitState } from "./state.ts";
import type { StepConfig } from "./step.ts";

/** Makes what a method prepares for its steps; nothing for most. */
export interface Preparation extends AsyncDisposable {
  feeds(batch: Batch, key: Key): Promise<Readonly<Record<string, HostArray>>>;
}

/** @param download brings the host's copy of the state up to date, where a method prepares anything. */
export function preparation(
  device: Device,
  state: UnitState,
  { method, unit, batchSize }: StepConfig,
  download: () => Promise<void> = async () => {},
): Preparation {
  if (method.prepare === undefined) return { feeds: async () => ({}), [Symbol.asyncDispose]: async () => {} };
  const caller = createCaller(method, { device, values: (path) => state.parameters.get(path)!.value, batchSize });
  return {
    feeds: async (batch, key) => {
      await download();
      return await method.prepare!(unit, batch, key, caller.call);
    },
    [Symbol.asyncDispose]: () => caller.dispose(),
  };
}
