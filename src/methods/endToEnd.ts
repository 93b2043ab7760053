import { z } from "zod";
import {
  endToEnd as endToEndClassifier,
  nextToken as nextTokenTraining,
  noPropBackprop,
  recurrent,
  shallowLanguageTwin,
  shallowTwin,
  twinEnsemble,
} from "../baselines/index.ts";
import {
  classifierKinds,
  count,
  defineMethod,
  type MethodDefinition,
  nextTokenKind,
  on,
  option,
  recurrentDepthKind,
} from "../define/index.ts";
import { endToEndImages, endToEndMasked } from "./blocks.ts";
import { onNoProp } from "./noProp.ts";

const none = z.strictObject({});

/** Ordinary training: the gradient of the loss through all layers. */
export const endToEnd: MethodDefinition = defineMethod({
  name: "end-to-end",
  summary: "ordinary training: the gradient of the loss through all layers",
  fits: [
    ...classifierKinds.map((kind) => on(kind, { schema: none, build: ({ network }) => endToEndClassifier(network()) })),
    endToEndImages,
    endToEndMasked,
    on(nextTokenKind, { schema: none, build: ({ network }) => nextTokenTraining(network()) }),
    on(recurrentDepthKind, {
      schema: z.strictObject({
        backpropDepth: option(count, { description: "recurrences that the gradient goes back through" }).default(8),
      }),
      build: ({ network }, { backpropDepth }) => {
        const architecture = network();
        return recurrent(architecture, { meanRecurrence: architecture.meanRecurrence, backpropDepth });
      },
    }),
  ],
});

/** The number of blocks whose training memory a twin has. */
const twinOptions = z.strictObject({
  numBlocks: option(count, {
    flag: "blocks",
    description: "blocks of the network whose layers and training memory are compared with",
  }).default(3),
});

/** Layers of one block. */
function layersOfBlock({ numLayers }: { readonly numLayers: number }, numBlocks: number): number {
  return Math.max(1, Math.floor(numLayers / numBlocks));
}

/** The control for memory: the network that the training memory of one block buys. */
export const shallowTwinMethod: MethodDefinition = defineMethod({
  name: "shallow-twin",
  summary: "end-to-end training of the layers of one block alone: what its training memory buys",
  fits: [
    ...classifierKinds.map((kind) =>
      on(kind, {
        schema: twinOptions,
        build: ({ network }, { numBlocks }) => shallowTwin((numLayers) => network({ numLayers }), layersOfBlock(network(), numBlocks)),
      }),
    ),
    on(nextTokenKind, {
      schema: z.strictObject({ numBlocks: twinOptions.shape.numBlocks.unwrap().default(4) }),
      build: ({ network }, { numBlocks }) =>
        shallowLanguageTwin((numLayers) => network({ numLayers }), layersOfBlock(network(), numBlocks)),
    }),
    onNoProp(none, (network, table) => ({ ...noPropBackprop(network, table, { numSteps: 1 }), name: "shallow-twin" })),
  ],
});

/** The control for denoising: what the mean of as many twins as blocks is worth. */
export const twinEnsembleMethod: MethodDefinition = defineMethod({
  name: "twin-ensemble",
  summary: "as many shallow twins as blocks, which answer together: the layer evaluations and parameters of blocks without denoising",
  fits: classifierKinds.map((kind) =>
    on(kind, {
      schema: twinOptions,
      build: ({ network }, { numBlocks }) =>
        twinEnsemble((numLayers) => network({ numLayers }), layersOfBlock(network(), numBlocks), numBlocks),
    }),
  ),
});
