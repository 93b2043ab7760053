import { UsageError } from "../errors.ts";
import type { Tensor } from "../tensor/index.ts";
import { divided, independent, interleaved, sequential, type Unit, type UnitOrder } from "../train/index.ts";

/**
 * Parameters that blocks share. `owned`: nothing, each block has its own stem, noise embedding and head.
 * `frozen`: one stem and noise embedding, at their initial values, never trained. `averageEvery`: owned, and averaged over the
 * blocks every K rounds. `together`: one stem, noise embedding and head, updated at every step of every block, as the official code does.
 */
export type SharedPolicy = "owned" | "frozen" | "together" | { readonly averageEvery: number };

type Parameters = ReadonlyMap<string, Tensor>;

/** Parameters of a block by path: the stem with the noise embedding, the layers by their number in the network, the head. */
export interface BlockParameters {
  readonly stem: Parameters;
  readonly layers: Parameters;
  readonly head: Parameters;
}

/** A block's number of layers and its parameters. */
export interface OwnedLayers {
  readonly numLayers: number;
  readonly parameters: BlockParameters;
}

/** Class embeddings: a constant, or learned by all blocks. */
export interface TargetTable {
  readonly table: Tensor;
  readonly parameter: Tensor | undefined;
}

type Entry = readonly [path: string, tensor: Tensor];

/** The unit of a block under a policy. */
export function blockUnit(
  block: number,
  { parameters, numLayers }: OwnedLayers,
  shared: SharedPolicy,
  targets: TargetTable | undefined,
  evaluationsPerLayer: number,
): Unit {
  const name = `block-${block}`;
  const under = (owner: string, own: Parameters): Entry[] => [...own].map(([path, tensor]) => [`${owner}/${path}`, tensor]);
  const table: Entry[] = targets?.parameter ? [["shared/targets", targets.parameter]] : [];
  const constants = new Map(targets && !targets.parameter ? [["targets", targets.table] as const] : []);
  const layers = under(name, parameters.layers);
  const base = { name, constants, layerEvaluations: numLayers * evaluationsPerLayer };
  const unit = (own: readonly Entry[], read: readonly Entry[]): Unit => {
    const { trainable, frozen } = divided(own);
    return { ...base, trainable, frozen: new Map([...frozen, ...read]) };
  };
  switch (shared) {
    case "together":
      return unit([...under("shared", parameters.stem), ...layers, ...under("shared", parameters.head), ...table], []);
    case "frozen":
      return unit([...layers, ...under(name, parameters.head)], [...under("shared", parameters.stem), ...table]);
    default:
      return unit([...under(name, parameters.stem), ...layers, ...under(name, parameters.head)], table);
  }
}

/** The part of another block that a step reads. */
export interface Passage {
  /** Layer evaluations for each of its layers. */
  readonly evaluationsPerLayer: number;
  /** Whether its head is read too. */
  readonly head?: boolean;
}

/** Of blocks `own` and `other`, what a step of the first reads of the second; undefined: nothing. */
export type PassageOf = (own: number, other: number) => Passage | undefined;

/** Units that read stems and layers of other blocks, and perhaps heads, with the layer evaluations that they make there. */
export function readingOthers(units: readonly Unit[], blocks: readonly OwnedLayers[], passageOf: PassageOf): readonly Unit[] {
  return units.map((unit, own) => {
    const read = new Set<Tensor>();
    let { layerEvaluations } = unit;
    for (const [other, { parameters, numLayers }] of blocks.entries()) {
      const passage = other === own ? undefined : passageOf(own, other);
      if (passage === undefined) continue;
      layerEvaluations += passage.evaluationsPerLayer * numLayers;
      const parts = [parameters.stem, parameters.layers, ...(passage.head ? [parameters.head] : [])];
      for (const part of parts) for (const tensor of part.values()) read.add(tensor);
    }
    if (read.size === 0) return unit;
    const others = units.filter((other) => other !== unit);
    const frozen = others.flatMap((other) => [...other.trainable, ...other.frozen].filter(([, tensor]) => read.has(tensor)));
    return { ...unit, frozen: new Map([...unit.frozen, ...frozen]), layerEvaluations };
  });
}

/**
 * When blocks that read later ones change places: after every step, all of them in memory; or each once, when it has made all its steps, the
 * later ones standing as they are: for networks that were trained before.
 */
export type Turns = "step" | "block";

/** In which order blocks are trained: those that read later blocks take turns with them; those that read earlier ones follow them. */
export function orderOf(shared: SharedPolicy, units: readonly Unit[], passageOf: PassageOf | undefined, turns: Turns = "step"): UnitOrder {
  const reads = (which: (own: number, other: number) => boolean): boolean =>
    units.some((_, own) => units.some((_, other) => which(own, other) && passageOf?.(own, other) !== undefined));
  if (reads((own, other) => other > own)) return turns === "step" ? interleaved() : sequential;
  if (reads((own, other) => other < own)) return sequential;
  if (shared === "owned" || shared === "frozen") return independent;
  return interleaved(shared === "together" ? undefined : { every: shared.averageEvery, groups: averagedGroups(units) });
}

/** For each parameter of stem, noise embedding and head: its paths in all blocks. */
function averagedGroups(units: readonly Unit[]): string[][] {
  const local = (unit: Unit): string[] =>
    [...unit.trainable.keys()].map((path) => path.slice(unit.name.length + 1)).filter((path) => !path.startsWith("layers."));
  return local(units[0]!).map((path) => units.map((unit) => `${unit.name}/${path}`));
}

/** @throws {UsageError} if blocks that read others share anything that goes on learning. */
export function checkFinishedSharing(shared: SharedPolicy): void {
  if (shared === "owned" || shared === "frozen") return;
  const why =
    "blocks that are stacked, or learn from the estimates of those before, need these finished: they can share nothing that goes on learning";
  throw new UsageError("stackedSharing", { shared }, `blocks: ${why}. Choose shared: owned or frozen.`);
}
