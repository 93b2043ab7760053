import type { RunConfig } from "../define/index.ts";
import { UsageError } from "../errors.ts";
import { adaptersOf, lowRankScale } from "../nn/index.ts";
import type { Tensor } from "../tensor/index.ts";
import type { ParameterValues } from "../train/index.ts";

/** A network by its parameters. */
export interface Weights {
  readonly config: RunConfig;
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly values: ParameterValues;
}

/**
 * The same network with its adapters added to the weights that they belong to, W + scale · down·up, and no longer there.
 *
 * @throws {UsageError} if it has none.
 */
export function mergedAdapters({ config, parameters, values }: Weights): Weights {
  const adapters = adaptersOf(parameters.keys());
  if (adapters.size === 0) {
    const message = `export --merge: ${config.model.name} has no adapters. Leave --merge out, or train some with dblocks finetune --lora 8.`;
    throw new UsageError("noAdapters", { model: config.model.name }, message);
  }
  const merged = new Map<string, Float32Array>();
  for (const [path, { down, up }] of adapters) {
    const [rank, outputs] = parameters.get(up)!.shape as [number, number];
    const [weight, first, second] = [Float32Array.from(values(path)), values(down), values(up)];
    for (let i = 0; i * outputs < weight.length; i++)
      for (let j = 0; j < outputs; j++) {
        let sum = 0;
        for (let r = 0; r < rank; r++) sum += first[i * rank + r]! * second[r * outputs + j]!;
        weight[i * outputs + j]! += lowRankScale * sum;
      }
    merged.set(path, weight);
  }
  const gone = new Set([...adapters.values()].flatMap(({ down, up }) => [down, up]));
  const { lora: _, ...model } = config.model;
  return {
    config: { ...config, model } as RunConfig,
    parameters: new Map([...parameters].filter(([path]) => !gone.has(path))),
    values: (path) => merged.get(path) ?? values(path),
  };
}
