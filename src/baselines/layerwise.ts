import { type ClassifierNetwork, type Context, type LayerMemory, plainContext, throughLayers } from "../nn/index.ts";
import type { Tensor } from "../tensor/index.ts";
import { forwardCost, ownedParameters, type Unit } from "../train/index.ts";

export interface LayerwiseOptions {
  /** The name of a group's unit. */
  readonly unitName: (group: number) => string;
  /** Applied to the state before it enters a group other than the first. */
  readonly between?: (h: Tensor) => Tensor;
}

/** A network in groups of layers that learn on their own, each on the features of the groups before it. */
export interface Layerwise {
  /** Parameters of each group by path: its layers, and the stem with the first. */
  readonly parameters: readonly ReadonlyMap<string, Tensor>[];
  /** A unit that trains group `group` and `own` parameters, on the finished groups before it. */
  unit(group: number, own?: ReadonlyMap<string, Tensor>): Unit;
  /**
   * The state after a group. The groups before it run as in prediction, the group itself in `context`.
   */
  stateAfter(group: number, input: Tensor, context?: Context, memory?: LayerMemory): Tensor;
}

/** Cuts the layers of a network into groups; `ranges` holds [first, end) of each. */
export function layerwise(
  { stem, layers }: Pick<ClassifierNetwork, "stem" | "layers">,
  ranges: readonly (readonly [first: number, end: number])[],
  { unitName, between = (h) => h }: LayerwiseOptions,
): Layerwise {
  const parameters = ranges.map(([first, end], group) => {
    const numbered = Object.fromEntries(layers.slice(first, end).map((layer, i) => [first + i, layer]));
    return ownedParameters(unitName(group), { parts: { ...(group === 0 && { stem }), layers: { parts: numbered } } });
  });
  const through = (group: number, h: Tensor, context: Context, memory?: LayerMemory): Tensor =>
    throughLayers(layers.slice(...ranges[group]!), h, context, memory);
  return {
    parameters,
    unit: (group, own = new Map()) => {
      const [first, end] = ranges[group]!;
      return {
        name: unitName(group),
        trainable: new Map([...parameters[group]!, ...own]),
        frozen: new Map(parameters.slice(0, group).flatMap((before) => [...before])),
        constants: new Map(),
        layerEvaluations: end - first + first * forwardCost,
      };
    },
    stateAfter: (group, input, context = plainContext, memory) => {
      let h = stem(input, undefined, group === 0 ? context : plainContext);
      for (let before = 0; before < group; before++) h = between(through(before, h, plainContext));
      return through(group, h, context, memory);
    },
  };
}
