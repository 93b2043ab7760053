import { z } from "zod";
import { contrastiveForwardForward, forwardForward, greedy } from "../baselines/index.ts";
import {
  classifierKind,
  classifierKinds,
  count,
  defineMethod,
  type MethodDefinition,
  on,
  option,
  plainClassifierKind,
} from "../define/index.ts";

/** Greedy layer-wise training with auxiliary classifiers. */
export const greedyMethod: MethodDefinition = defineMethod({
  name: "greedy",
  summary: "greedy layer-wise training: groups of layers one after another, each with a classifier of its own",
  fits: classifierKinds.map((kind) =>
    on(kind, {
      schema: z.strictObject({
        numGroups: option(count, {
          flag: "blocks",
          description: "groups of layers: as many as blocks, for the same training memory",
        }).default(3),
        layersPerGroup: option(z.array(count).readonly(), {
          flag: "layers-per-block",
          value: "list",
          description: "layers of each group, e.g. 3,6,3",
          byDefault: "equal shares",
        }).optional(),
      }),
      build: ({ network }, options) => greedy(network(), options),
    }),
  ),
});

/** The learning rate of the contrastive Forward-Forward repository, on vision transformers. */
const published = { training: { learningRate: 4e-3 } };

/** Forward-Forward: each layer learns to tell right labels from wrong ones. */
export const forwardForwardMethod: MethodDefinition = defineMethod({
  name: "forward-forward",
  summary: "Forward-Forward (Hinton 2022): each layer learns alone to tell right labels from wrong ones",
  fits: [
    on(classifierKind, {
      schema: writing("pattern"),
      defaults: published,
      build: ({ network }, options) => forwardForward(network(), options),
    }),
    on(plainClassifierKind, { schema: writing("pixels"), build: ({ network }, options) => forwardForward(network(), options) }),
  ],
});

function writing(byDefault: "pixels" | "pattern") {
  return z.strictObject({
    writing: option(z.enum(["pixels", "pattern"]), {
      flag: "label-writing",
      value: "place",
      description: "the label over the first pixels, or as a faint pattern over the whole image",
      advanced: true,
    }).default(byDefault),
  });
}

/** Contrastive Forward-Forward: each layer learns to bring images of one class together. */
export const contrastiveMethod: MethodDefinition = defineMethod({
  name: "contrastive-ff",
  summary: "contrastive Forward-Forward: each layer learns alone to bring images of one class together; then a linear readout",
  fits: [
    on(classifierKind, { schema: z.strictObject({}), defaults: published, build: ({ network }) => contrastiveForwardForward(network()) }),
    on(plainClassifierKind, { schema: z.strictObject({}), build: ({ network }) => contrastiveForwardForward(network()) }),
  ],
});
