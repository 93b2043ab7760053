import { z } from "zod";
import { nextTokenEnsemble, noPropBackprop, shallowLanguageTwin, shallowTwin, twinEnsemble } from "../baselines/index.ts";
import {
  classifierKinds,
  count,
  defineMethod,
  imageDenoiserKind,
  type MethodDefinition,
  maskedTokensKind,
  nextTokenKind,
  on,
  option,
} from "../define/index.ts";
import { imageNetworkOptions, imageNetworks, maskedNetworkOptions, maskedNetworks } from "./blocks.ts";
import { onNoProp } from "./noProp.ts";

/** The number of blocks whose training memory a twin has. */
const twinOptions = (numBlocks = 3) =>
  z.strictObject({
    numBlocks: option(count, {
      flag: "blocks",
      description: "blocks of the network whose layers and training memory are compared with",
    }).default(numBlocks),
  });

/** Layers of one block. */
function layersOfBlock({ numLayers }: { readonly numLayers: number }, numBlocks: number): number {
  return Math.max(1, Math.floor(numLayers / numBlocks));
}

const twinImageOptions = imageNetworkOptions.extend(twinOptions().shape);
const twinMaskedOptions = maskedNetworkOptions.extend(twinOptions().shape);

/** The control for memory: the network that the training memory of one block buys. */
export const shallowTwinMethod: MethodDefinition = defineMethod({
  name: "shallow-twin",
  summary: "end-to-end training of the layers of one block alone: what its training memory buys",
  fits: [
    ...classifierKinds.map((kind) =>
      on(kind, {
        schema: twinOptions(),
        build: ({ network }, { numBlocks }) => shallowTwin((numLayers) => network({ numLayers }), layersOfBlock(network(), numBlocks)),
      }),
    ),
    on(imageDenoiserKind, {
      schema: twinImageOptions,
      build: ({ network }, { numBlocks, ...options }) => ({
        ...imageNetworks(network({ numLayers: layersOfBlock(network(), numBlocks) }), options, 1),
        name: "shallow-twin",
      }),
    }),
    on(maskedTokensKind, {
      schema: twinMaskedOptions,
      build: ({ network }, { numBlocks, ...options }) => ({
        ...maskedNetworks(network({ numLayers: layersOfBlock(network(), numBlocks) }), options, 1),
        name: "shallow-twin",
      }),
    }),
    on(nextTokenKind, {
      schema: twinOptions(4),
      build: ({ network }, { numBlocks }) =>
        shallowLanguageTwin((numLayers) => network({ numLayers }), layersOfBlock(network(), numBlocks)),
    }),
    onNoProp(z.strictObject({}), (network, table) => ({ ...noPropBackprop(network, table, { numSteps: 1 }), name: "shallow-twin" })),
  ],
});

/** The control for denoising: what the mean of as many twins as blocks is worth. */
export const twinEnsembleMethod: MethodDefinition = defineMethod({
  name: "twin-ensemble",
  summary: "as many shallow twins as blocks, which answer together: the layer evaluations and parameters of blocks without denoising",
  fits: [
    ...classifierKinds.map((kind) =>
      on(kind, {
        schema: twinOptions(),
        build: ({ network }, { numBlocks }) =>
          twinEnsemble((numLayers) => network({ numLayers }), layersOfBlock(network(), numBlocks), numBlocks),
      }),
    ),
    on(imageDenoiserKind, {
      schema: twinImageOptions,
      build: ({ network }, { numBlocks, ...options }) => ({
        ...imageNetworks(network({ numLayers: numBlocks * layersOfBlock(network(), numBlocks) }), options, numBlocks),
        name: "twin-ensemble",
      }),
    }),
    on(maskedTokensKind, {
      schema: twinMaskedOptions,
      build: ({ network }, { numBlocks, ...options }) => ({
        ...maskedNetworks(network({ numLayers: numBlocks * layersOfBlock(network(), numBlocks) }), options, numBlocks),
        name: "twin-ensemble",
      }),
    }),
    on(nextTokenKind, {
      schema: twinOptions(4),
      build: ({ network }, { numBlocks }) => nextTokenEnsemble(network({ numLayers: layersOfBlock(network(), numBlocks) }), numBlocks),
    }),
  ],
});
