import { type Layer, layerParameters, namedParameters, type Parts } from "../nn/index.ts";
import { assignLayers, type Unit, type UnitOrder } from "../train/index.ts";
import {
  type BlockParameters,
  blockUnit,
  checkFinishedSharing,
  type OwnedLayers,
  orderOf,
  type PassageOf,
  readingOthers,
  type SharedPolicy,
  type TargetTable,
  type Turns,
} from "./sharing.ts";

/** A network in the sections that blocks are cut from. The names of stem and head parts begin the paths of their parameters. */
export interface Sections<Stem extends Parts, Head extends Parts> {
  /** Embeddings of inputs and noise levels: shared under the policies `frozen` and `together`. */
  readonly stem: Stem;
  readonly layers: readonly Layer[];
  /** The head: shared under the policy `together`. */
  readonly head: Head;
}

/** One block: some of the network's layers, with the stem and the head that it uses. */
export interface Block<Stem extends Parts, Head extends Parts> extends Sections<Stem, Head>, OwnedLayers {
  /** Its layers in the network, [first, end). */
  readonly range: readonly [first: number, end: number];
}

/** Options of dividing layers among blocks. */
export interface CutOptions {
  /** Number of layers of each block; equal shares by default. */
  readonly layersPerBlock?: readonly number[] | undefined;
  /** `owned` by default. */
  readonly shared?: SharedPolicy | undefined;
}

export interface Cut<Stem extends Parts, Head extends Parts> extends CutOptions {
  /** Layers of the whole network. */
  readonly numLayers: number;
  readonly numBlocks: number;
  /** Makes the whole network with fresh parameters. */
  build(): Sections<Stem, Head>;
  /** Class embeddings that all blocks use. */
  readonly targets?: TargetTable;
  /** Passes of a sample through each layer in a step, 1 by default. */
  readonly evaluationsPerLayer?: number;
  /** The parts of the stem that a block uses, all by default. */
  usedStem?(stem: Stem, block: number): Parts;
  /** The parts of other blocks that a step reads, none by default. */
  readonly passageOf?: PassageOf | undefined;
  /** When blocks that read later ones change places. */
  readonly turns?: Turns | undefined;
  /** Whether blocks have no answers of their own: they answer together. False by default. */
  readonly together?: boolean;
}

/** A network in blocks, one unit of training for each. */
export interface BlocksOf<Stem extends Parts, Head extends Parts> {
  readonly blocks: readonly Block<Stem, Head>[];
  readonly layersPerBlock: readonly number[];
  readonly units: readonly Unit[];
  readonly order: UnitOrder;
}

/**
 * Cuts a network into blocks: layers in order, block 0 with the first; stem and head shared by the policy. Unit b is
 * `block-b`; its parameters are `block-b/…` or, shared, `shared/…`.
 *
 * @throws {PartitionError} if the layers cannot be assigned. {UsageError} if blocks that read others share what goes
 *   on learning.
 * @see DiffusionBlocks (arXiv 2506.14202), Section 3.1.
 */
export function cut<Stem extends Parts, Head extends Parts>({
  numLayers,
  numBlocks,
  layersPerBlock,
  shared = "owned",
  build,
  targets,
  evaluationsPerLayer = 1,
  usedStem = (stem) => stem,
  passageOf,
  turns,
  together = false,
}: Cut<Stem, Head>): BlocksOf<Stem, Head> {
  if (passageOf !== undefined) checkFinishedSharing(shared);
  const ranges = assignLayers(numLayers, numBlocks, layersPerBlock);
  const common = build();
  const blocks = ranges.map((range, b) => blockOf(sectionsOf(b), range, (stem) => usedStem(stem, b)));
  const answers = together && numBlocks > 1 ? { answersAlone: false } : {};
  const alone = blocks.map((block, b) => ({ ...blockUnit(b, block, shared, targets, evaluationsPerLayer), ...answers }));
  const units = passageOf === undefined ? alone : readingOthers(alone, blocks, passageOf);
  return { blocks, layersPerBlock: blocks.map((block) => block.numLayers), units, order: orderOf(shared, units, passageOf, turns) };

  /** The common network, one of the block's own, or one of its own with the common stem. */
  function sectionsOf(block: number): Sections<Stem, Head> {
    if (block === 0 || shared === "together") return common;
    return shared === "frozen" ? { ...build(), stem: common.stem } : build();
  }
}

function blockOf<Stem extends Parts, Head extends Parts>(
  sections: Sections<Stem, Head>,
  range: readonly [first: number, end: number],
  usedStem: (stem: Stem) => Parts,
): Block<Stem, Head> {
  const [first, end] = range;
  const layers = sections.layers.slice(first, end);
  const parameters: BlockParameters = {
    stem: namedParameters({ parts: usedStem(sections.stem) }),
    layers: layerParameters(layers, first),
    head: namedParameters({ parts: sections.head }),
  };
  return { ...sections, layers, range, numLayers: layers.length, parameters };
}
