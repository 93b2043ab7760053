import { z } from "zod";
import {
  convert,
  convertImages,
  convertLanguage,
  convertMasked,
  convertRecurrent,
  type ImageDenoiser,
  type MaskedText,
  type SharedPolicy,
} from "../blocks/index.ts";
import {
  classifierKind,
  count,
  defineMethod,
  imageDenoiserKind,
  type MethodDefinition,
  maskedTokensKind,
  nextTokenKind,
  noPropKind,
  on,
  option,
  positive,
  recurrentDepthKind,
  share,
} from "../define/index.ts";
import { classNoise, edmNoise, type MaskingPartition, maskingPartition, type Partition, samplerNames } from "../diffusion/index.ts";
import { cutOptions, noiseOptions, partitionOf, partitionOptions, preconditioningOption, wholeRange } from "./noiseOptions.ts";

const gate = option(z.literal([0, 1]), {
  description: "gate of the residual branches at initialisation: 0 starts each layer as the identity, 1 as the plain layer",
  advanced: true,
});

const weighting = option(z.enum(["none", "edm", "batch-mean"]), {
  flag: "weighting",
  value: "name",
  description: "weights of the samples in the loss",
});

/** Classes or tokens as vectors that noise is added to, and how the noisy ones are read. */
const targetOptions = {
  targetEmbedding: option(z.enum(["orthonormal", "learned"]), {
    flag: "embedding",
    value: "kind",
    description: "embeddings of classes or tokens",
  }).default("orthonormal"),
  targetScale: option(positive, { value: "length", description: "length of an embedding" }).default(1),
  labelLikelihood: option(z.enum(["exact", "learned"]), {
    flag: "likelihood",
    value: "name",
    description: "the likelihood of the noisy embedding, in closed form or learned",
  }).default("exact"),
};

/** Options of prediction: a reverse process over the noise levels. */
function samplingOptions<const Readout extends readonly [string, ...string[]]>(readouts: Readout, numSteps?: number) {
  const steps = option(count, {
    flag: "prediction-steps",
    description: "noise levels of a prediction",
    byDefault: "as many as blocks",
    advanced: true,
    prediction: true,
  });
  return option(
    z.strictObject({
      numSteps: numSteps === undefined ? steps.optional() : steps.default(numSteps),
      grid: option(z.enum(["equi-probability", "karras", "block-entry"]), {
        flag: "prediction-grid",
        description: "spacing of the noise levels of a prediction",
        advanced: true,
      }).default("equi-probability"),
      sampler: option(z.enum(samplerNames), {
        flag: "prediction-sampler",
        value: "name",
        description: "sampler of the reverse process of a prediction",
        advanced: true,
      }).default("euler"),
      estimate: option(z.enum(["soft", "hard", "sampled"]), {
        value: "kind",
        description: "denoised estimate in prediction: the mean embedding under the logits, the likeliest one, or a drawn one",
      }).default("soft"),
      readout: option(z.enum(readouts), {
        value: "kind",
        description: "the answer: logits of the last evaluation, or the mean evidence of all",
      }).default("evidence"),
    }),
    { description: "how a trained network is used", prediction: true },
  ).prefault({});
}

function classOptions({ overlap, condWidth }: { readonly overlap: number; readonly condWidth?: number }) {
  const width = option(count, { description: "width of the noise conditioning", byDefault: "a sixth of the network's", advanced: true });
  return z.strictObject({
    ...cutOptions({ overlap }),
    ...partitionOptions,
    ...noiseOptions(classNoise),
    ...targetOptions,
    lossWeighting: weighting.default("none"),
    headInput: option(z.enum(["features", "mixed"]), {
      description: "input of the head: the features, or cOut F + cSkip z (the official code)",
      advanced: true,
    }).default("features"),
    initialGate: gate.default(1),
    condWidth: condWidth === undefined ? width.optional() : width.default(condWidth),
    sampling: samplingOptions(["last", "evidence"]),
  });
}

const imageOptions = z.strictObject({
  ...cutOptions(),
  ...partitionOptions,
  ...noiseOptions(edmNoise),
  preconditioning: preconditioningOption,
  lossWeighting: weighting.default("edm"),
  initialGate: gate.default(0),
  labelDropout: option(share, { description: "share of the training images whose class is hidden, for guidance" }).default(0.1),
});

const maskedOptions = z.strictObject({
  ...cutOptions(),
  masking: option(z.enum(["linear", "cosine"]), { description: "share of masked tokens over time" }).default("linear"),
  initialGate: gate.default(0),
  context: option(z.enum(["own", "stacked"]), {
    value: "depth",
    description: "each block embeds the tokens itself, or starts from the features of the finished blocks before it",
  }).default("own"),
});

const languageOptions = z.strictObject({
  ...cutOptions({ numBlocks: 4, overlap: 0.1 }),
  ...partitionOptions,
  ...noiseOptions(classNoise),
  ...targetOptions,
  lossWeighting: weighting.default("none"),
  initialGate: gate.default(1),
  context: option(z.enum(["own", "stacked"]), {
    value: "depth",
    description: "each block reads the tokens before with its own layers, or on top of the finished blocks before it",
  }).default("own"),
  query: option(z.enum(["previous", "blank"]), {
    value: "start",
    description: "start of a token's estimate beside its noisy embedding: the token before, or nothing (the paper)",
  }).default("previous"),
  groupSize: option(count, {
    flag: "group",
    value: "tokens",
    description: "tokens that are estimated together, as in Block Diffusion",
  }).default(1),
  nextTokenWeight: option(z.number().min(0), {
    value: "x",
    description: "weight of the context stream's next-token cross-entropy beside the denoising loss",
  }).default(0),
  nextTokenPlace: option(z.enum(["block", "network"]), {
    value: "place",
    description: "where that is taken: behind the block's own layers, or of stacked blocks behind the whole network, blocks in turn",
  }).default("block"),
  turns: option(z.enum(["step", "block"]), {
    value: "length",
    description:
      "behind the whole network, blocks change places after every step, all of them in memory, or when a block has made all its steps: for networks that were trained before",
    byDefault: "step",
    advanced: true,
  }).optional(),
  scheduledSampling: option(share, {
    value: "share",
    description: "share of the texts whose noisy embeddings come from the reverse process of the finished blocks before",
  }).default(0),
  sampling: samplingOptions(["last", "evidence", "next-token"]),
});

const recurrentOptions = z.strictObject({
  ...noiseOptions(classNoise),
  ...targetOptions,
  lossWeighting: weighting.default("none"),
  initialGate: gate.default(1),
  sampling: samplingOptions(["last", "evidence"], 32),
});

/** DiffusionBlocks on every kind of network that takes noise conditioning. */
export const blocks: MethodDefinition = defineMethod({
  name: "blocks",
  summary: "DiffusionBlocks: blocks that learn alone to denoise, each in its own range of noise levels",
  fits: [
    on(classifierKind, {
      schema: classOptions({ overlap: 0.05 }),
      build: ({ network }, options) => convert(network(), asCut(options)),
    }),
    on(noPropKind, {
      schema: classOptions({ overlap: 0.1, condWidth: 64 }),
      build: ({ network }, options) => convert(network().layered(options.numBlocks), asCut(options)),
    }),
    on(imageDenoiserKind, {
      schema: imageOptions,
      build: ({ network }, options) => convertImages(network(), asCut(options)),
    }),
    on(maskedTokensKind, {
      schema: maskedOptions,
      build: ({ network }, { numBlocks, masking, overlap, shared, ...options }) =>
        convertMasked(network(), {
          ...options,
          shared: policyOf(shared),
          partition: maskingPartition({ numBlocks, schedule: masking, overlap }),
        }),
    }),
    on(nextTokenKind, {
      schema: languageOptions,
      build: ({ network }, options) => convertLanguage(network(), asCut(options)),
    }),
    on(recurrentDepthKind, {
      schema: recurrentOptions,
      build: ({ network }, options) => convertRecurrent(network(), { ...options, partition: wholeRange(options) }),
    }),
  ],
});

/** Options as conversions take them: with the partition and the policy that they describe. */
function asCut<Options extends Parameters<typeof partitionOf>[0] & { readonly shared: string }>(options: Options) {
  return { ...options, shared: policyOf(options.shared), partition: partitionOf(options) };
}

/** "average:50" -> { averageEvery: 50 } */
function policyOf(text: string): SharedPolicy {
  const every = /^average:(\d+)$/.exec(text)?.[1];
  return every === undefined ? (text as Exclude<SharedPolicy, object>) : { averageEvery: Number(every) };
}

/** Options of networks that each denoise at all noise levels. */
export const imageNetworkOptions = imageOptions
  .pick({
    pMean: true,
    pStd: true,
    sigmaMin: true,
    sigmaMax: true,
    sigmaData: true,
    preconditioning: true,
    lossWeighting: true,
    initialGate: true,
    labelDropout: true,
  })
  .strict();

/** A diffusion network's layers as so many networks that each denoise at all noise levels, and answer together. */
export function imageNetworks(
  architecture: ImageDenoiser["architecture"],
  options: z.output<typeof imageNetworkOptions>,
  count: number,
): ImageDenoiser {
  return convertImages(architecture, { ...options, partition: repeated(wholeRange(options), count), together: true });
}

export const maskedNetworkOptions = maskedOptions.pick({ masking: true, initialGate: true }).strict();

/** A masked network's layers as so many networks that each know all times, and answer together. */
export function maskedNetworks(
  architecture: MaskedText["architecture"],
  { masking, initialGate }: z.output<typeof maskedNetworkOptions>,
  count: number,
): MaskedText {
  const partition = repeated(maskingPartition({ numBlocks: 1, schedule: masking, overlap: 0 }), count);
  return convertMasked(architecture, { initialGate, partition, together: true });
}

/** The whole range, once for each network. */
function repeated<Whole extends Partition | MaskingPartition>(whole: Whole, count: number): Whole {
  const times = <Range>([range]: readonly Range[]): readonly Range[] => Array.from({ length: count }, () => range!);
  return {
    ...whole,
    ranges: times<Whole["ranges"][number]>(whole.ranges),
    trainingRanges: times<Whole["trainingRanges"][number]>(whole.trainingRanges),
  };
}

/** One network for all noise levels: the diffusion models that are trained end to end. */
export const endToEndImages = on(imageDenoiserKind, {
  schema: imageNetworkOptions,
  build: ({ network }, options) => ({ ...imageNetworks(network(), options, 1), name: "end-to-end" }),
});

export const endToEndMasked = on(maskedTokensKind, {
  schema: maskedNetworkOptions,
  build: ({ network }, options) => ({ ...maskedNetworks(network(), options, 1), name: "end-to-end" }),
});
