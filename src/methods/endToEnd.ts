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
  classifierKind,
  count,
  defineMethod,
  type MethodDefinition,
  nextTokenKind,
  noPropKind,
  on,
  option,
  plainClassifierKind,
  recurrentDepthKind,
} from "../define/index.ts";
import { endToEndImages, endToEndMasked } from "./blocks.ts";
import { classTableOf } from "./noProp.ts";

const none = z.strictObject({});

/** Ordinary training: the gradient of the loss through all layers. */
export const endToEnd: MethodDefinition = defineMethod({
  name: "end-to-end",
  summary: "ordinary training: the gradient of the loss through all layers",
  fits: [
    ...[classifierKind, plainClassifierKind].map((kind) =>
      on(kind, { schema: none, build: ({ network }) => endToEndClassifier(network()) }),
    ),
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
function layersOf({ numLayers }: { readonly numLayers: number }, numBlocks: number): { readonly numLayers: number } {
  return { numLayers: Math.max(1, Math.floor(numLayers / numBlocks)) };
}

/** The control for memory: the network that the training memory of one block buys. */
export const shallowTwinMethod: MethodDefinition = defineMethod({
  name: "shallow-twin",
  summary: "end-to-end training of the layers of one block alone: what its training memory buys",
  fits: [
    ...[classifierKind, plainClassifierKind].map((kind) =>
      on(kind, {
        schema: twinOptions,
        build: ({ network }, { numBlocks }) => {
          const { numLayers } = layersOf(network(), numBlocks);
          return shallowTwin((layers) => network({ numLayers: layers }), numLayers);
        },
      }),
    ),
    on(nextTokenKind, {
      schema: z.strictObject({ numBlocks: twinOptions.shape.numBlocks.unwrap().default(4) }),
      build: ({ network }, { numBlocks }) => {
        const { numLayers } = layersOf(network(), numBlocks);
        return shallowLanguageTwin((layers) => network({ numLayers: layers }), numLayers);
      },
    }),
    on(noPropKind, {
      schema: none,
      build: (context) => {
        const { network } = context.network();
        return { ...noPropBackprop(network, classTableOf(context), { numSteps: 1 }), name: "shallow-twin" };
      },
    }),
  ],
});

/** The control for denoising: what the mean of as many twins as blocks is worth. */
export const twinEnsembleMethod: MethodDefinition = defineMethod({
  name: "twin-ensemble",
  summary: "as many shallow twins as blocks, which answer together: the layer evaluations and parameters of blocks without denoising",
  fits: [classifierKind, plainClassifierKind].map((kind) =>
    on(kind, {
      schema: twinOptions,
      build: ({ network }, { numBlocks }) => {
        const { numLayers } = layersOf(network(), numBlocks);
        return twinEnsemble((layers) => network({ numLayers: layers }), numLayers, numBlocks);
      },
    }),
  ),
});
