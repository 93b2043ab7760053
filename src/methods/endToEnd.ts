import { z } from "zod";
import { endToEnd as endToEndClassifier, nextToken as nextTokenTraining, recurrent } from "../baselines/index.ts";
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
