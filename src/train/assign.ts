import { PartitionError } from "../errors.ts";

/**
 * Consecutive layers for each group that is trained on its own: [first, end), group 0 with the first layers.
 *
 * @param layersPerBlock how many layers each block gets; equal shares by default.
 * @throws {PartitionError} if the layers do not divide equally and no distribution is given, or the given one does not add up.
 */
export function assignLayers(
  numLayers: number,
  numBlocks: number,
  layersPerBlock?: readonly number[],
): readonly (readonly [first: number, end: number])[] {
  if (!Number.isInteger(numBlocks) || numBlocks < 1)
    throw new PartitionError("numBlocks", { numBlocks }, `the number of blocks must be a whole number of at least 1, got ${numBlocks}.`);
  if (layersPerBlock === undefined && numLayers % numBlocks !== 0) {
    throw new PartitionError(
      "layersNotDivisible",
      { numLayers, numBlocks },
      `${numLayers} layers do not divide into ${numBlocks} equal blocks. Give layersPerBlock, e.g. [${exampleShares(numLayers, numBlocks).join(", ")}].`,
    );
  }
  const shares = layersPerBlock ?? Array.from({ length: numBlocks }, () => numLayers / numBlocks);
  const total = shares.reduce((sum, share) => sum + share, 0);
  if (shares.length !== numBlocks || total !== numLayers || shares.some((share) => !Number.isInteger(share) || share < 1)) {
    throw new PartitionError(
      "layersPerBlock",
      { numLayers, numBlocks, layersPerBlock },
      `layersPerBlock [${shares.join(", ")}] must be ${numBlocks} whole numbers of at least 1 that add up to ${numLayers}.`,
    );
  }
  let first = 0;
  return shares.map((share) => {
    first += share;
    return [first - share, first] as const;
  });
}

function exampleShares(numLayers: number, numBlocks: number): number[] {
  return Array.from({ length: numBlocks }, (_, b) => Math.floor(numLayers / numBlocks) + (b < numLayers % numBlocks ? 1 : 0));
}
