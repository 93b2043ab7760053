import { type Context, type Layer, type Network, namedParameters, plainContext } from "../nn/index.ts";
import type { Tensor } from "../tensor/index.ts";
import { forward, type Unit } from "../train/index.ts";

/** A layer as it is called. */
export type LayerCall = (h: Tensor, context: Context) => Tensor;

export interface LayerwiseOptions {
  /** The name of a group's unit. */
  readonly unitName: (group: number) => string;
  /** What the state passes through before it enters a group other than the first. */
  readonly between?: (h: Tensor) => Tensor;
}

/** A network in groups of layers that learn on their own, each on what the groups before it make of the input. */
export interface Layerwise {
  /** Parameters of each group by path: its layers, and the stem with the first. */
  readonly parameters: readonly ReadonlyMap<string, Tensor>[];
  /** A unit that trains group `group` and `own` parameters, on the finished groups before it. */
  unit(group: number, own?: ReadonlyMap<string, Tensor>): Unit;
  /** The state after a group. The groups before it run as in prediction, the group itself in `context`, each of its layers as `run` has it. */
  stateAfter(group: number, input: Tensor, context?: Context, run?: (layer: Layer) => LayerCall): Tensor;
}

/** Cuts the layers of a network into groups; `ranges` holds [first, end) of each. */
export function layerwise(
  { stem, layers }: Pick<Network, "stem" | "layers">,
  ranges: readonly (readonly [first: number, end: number])[],
  { unitName, between = (h) => h }: LayerwiseOptions,
): Layerwise {
  const parameters = ranges.map(([first, end], group) => {
    const numbered = Object.fromEntries(layers.slice(first, end).map((layer, i) => [first + i, layer]));
    const named = namedParameters({ parts: { ...(group === 0 && { stem }), layers: { parts: numbered } } });
    return new Map([...named].map(([path, tensor]) => [`${unitName(group)}/${path}`, tensor]));
  });
  const through = (group: number, h: Tensor, context: Context, run: (layer: Layer) => LayerCall): Tensor =>
    layers.slice(...ranges[group]!).reduce((state, layer) => run(layer)(state, context), h);
  return {
    parameters,
    unit: (group, own = new Map()) => ({
      name: unitName(group),
      trainable: new Map([...parameters[group]!, ...own]),
      frozen: new Map(parameters.slice(0, group).flatMap((before) => [...before])),
      constants: new Map(),
      numLayers: ranges[group]![1] - ranges[group]![0] + ranges[group]![0] * forward,
    }),
    stateAfter: (group, input, context = plainContext, run = (layer) => layer) => {
      let h = stem(input, undefined, group === 0 ? context : plainContext);
      for (let before = 0; before < group; before++) h = between(through(before, h, plainContext, (layer) => layer));
      return through(group, h, context, run);
    },
  };
}
