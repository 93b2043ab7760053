import { UsageError } from "../errors.ts";
import type { Tensor } from "../tensor/index.ts";
import type { TrainingMethod, Unit } from "../train/index.ts";
import type { BlockParameters } from "./block.ts";

/**
 * What blocks have in common besides the constants. `owned`: nothing, each block has its own stem, noise embedding and head.
 * `frozen`: one stem and noise embedding, at their initial values, never trained. `averageEvery`: owned, and averaged over the
 * blocks every K rounds. `together`: one stem, noise embedding and head, updated at every step of every block, as the official code does.
 */
export type SharedPolicy = "owned" | "frozen" | "together" | { readonly averageEvery: number };

/** What each block takes its layers from: the common network, one of its own, or one of its own with the common stem (`withStemOf`). */
export function perBlock<Network>(
  numBlocks: number,
  shared: SharedPolicy,
  build: () => Network,
  withStemOf: (common: Network, own: Network) => Network,
): readonly Network[] {
  const common = build();
  return Array.from({ length: numBlocks }, (_, b) => {
    if (b === 0 || shared === "together") return common;
    return shared === "frozen" ? withStemOf(common, build()) : build();
  });
}

/** The table of the targets, where there is one: a constant, or learned. */
interface TargetTable {
  readonly constant?: Tensor | undefined;
  readonly learned?: Tensor | undefined;
}

type Entry = readonly [path: string, tensor: Tensor];

/** What one block updates and reads under a policy. */
export function blockUnit(
  block: number,
  { parameters, numLayers }: { readonly parameters: BlockParameters; readonly numLayers: number },
  shared: SharedPolicy,
  { constant, learned }: TargetTable = {},
): Unit {
  const name = `block-${block}`;
  const under = (owner: string, parameters: ReadonlyMap<string, Tensor>): Entry[] =>
    [...parameters].map(([path, tensor]) => [`${owner}/${path}`, tensor]);
  const table: Entry[] = learned ? [["shared/targets", learned]] : [];
  const layers = under(name, parameters.layers);
  const base = { name, constants: new Map(constant ? [["targets", constant] as const] : []), numLayers };
  switch (shared) {
    case "together":
      return {
        ...base,
        trainable: new Map([...under("shared", parameters.stem), ...layers, ...under("shared", parameters.head), ...table]),
        frozen: new Map(),
      };
    case "frozen":
      return {
        ...base,
        trainable: new Map([...layers, ...under(name, parameters.head)]),
        frozen: new Map([...under("shared", parameters.stem), ...table]),
      };
    default:
      return {
        ...base,
        trainable: new Map([...under(name, parameters.stem), ...layers, ...under(name, parameters.head)]),
        frozen: new Map(table),
      };
  }
}

/** What a policy means for the loop. */
export function sharingOf(shared: SharedPolicy, units: readonly Unit[]): Pick<TrainingMethod, "independentUnits" | "averaging"> {
  return {
    independentUnits: shared === "owned" || shared === "frozen",
    ...(typeof shared === "object" && { averaging: { every: shared.averageEvery, groups: averagedGroups(units) } }),
  };
}

/** For each parameter of stem, noise embedding and head: its paths in all blocks. */
function averagedGroups(units: readonly Unit[]): string[][] {
  const local = (unit: Unit): string[] =>
    [...unit.trainable.keys()].map((path) => path.slice(unit.name.length + 1)).filter((path) => !path.startsWith("layers."));
  return local(units[0]!).map((path) => units.map((unit) => `${unit.name}/${path}`));
}

/** What a block's step passes through of another block. */
export interface PassThrough {
  /** How many layers each of its layers counts as. */
  readonly layers: number;
  /** Whether its head is read too. */
  readonly head?: boolean;
}

/** Units that read parameters of other blocks, stem and layers and perhaps the head, and count the layers that they pass through there. */
export function readingOthers(
  units: readonly Unit[],
  blocks: readonly { readonly parameters: BlockParameters; readonly numLayers: number }[],
  passOf: (own: number, other: number) => PassThrough | undefined,
): readonly Unit[] {
  return units.map((unit, own) => {
    const read = new Set<Tensor>();
    let { numLayers } = unit;
    for (const [other, { parameters, numLayers: layers }] of blocks.entries()) {
      const pass = other === own ? undefined : passOf(own, other);
      if (pass === undefined) continue;
      numLayers += pass.layers * layers;
      const parts = [parameters.stem, parameters.layers, ...(pass.head ? [parameters.head] : [])];
      for (const part of parts) for (const tensor of part.values()) read.add(tensor);
    }
    if (read.size === 0) return unit;
    const others = units.filter((other) => other !== unit);
    const frozen = others.flatMap((other) => [...other.trainable, ...other.frozen].filter(([, tensor]) => read.has(tensor)));
    return { ...unit, frozen: new Map([...unit.frozen, ...frozen]), numLayers };
  });
}

/** @throws {UsageError} if blocks that must be finished before the next one learns share what goes on learning. */
export function checkFinishedSharing(caller: string, shared: SharedPolicy): void {
  if (shared === "owned" || shared === "frozen") return;
  const why =
    "blocks that are stacked, or hand over, are finished before the next one learns, so nothing that they share can go on learning";
  throw new UsageError("stackedSharing", { shared }, `${caller}: ${why}. Choose shared: owned or frozen.`);
}
