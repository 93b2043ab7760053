import { UsageError } from "../../errors.ts";
import { classNamesOf, type Layout, type PublishedConfig, refuseOther, sizeOf } from "./layout.ts";
import { partsOf } from "./parts.ts";

/**
 * The vision transformer of the official DiffusionBlocks code: its `state_dict` with or without the prefix `model.` of the training module,
 * and the configuration that it was made of, to which `num_blocks` must be added. Blocks share stem, noise embedding, label table and head.
 *
 * @see DiffusionBlocks (arXiv 2506.14202), the released ViTDiTForImageClassification.
 */
export const diffusionBlocksVit: Layout = {
  types: ["vit-diffusionblocks"],
  read: (config, weights) => {
    refuseOther(config, "hidden_act", ["gelu"]);
    refuseOther(config, "qkv_bias", [true]);
    refuseOther(config, "pooling_type", ["cls"]);
    refuseOther(config, "latent_prediction_head", [false]);
    refuseOther(config, "classifier_head_type", ["linear"]);
    const sizes = sizesOf(config);
    const { w, condWidth, numLayers, numBlocks, patchSize, channels, numTokens } = sizes;
    const classNames = classNamesOf(config);
    const root = weights.has("model.classifier.weight") ? "model." : "";
    const values = new Map<string, Float32Array>();
    const take = (path: string, name: string, ...shape: readonly number[]): void => void values.set(path, weights.take(name, ...shape));
    const part = partsOf(weights, values);
    const embeddings = `${root}vit.embeddings`;
    take("shared/stem.positions", `${embeddings}.position_embeddings`, 1, numTokens, w);
    take("shared/targets", `${embeddings}.label_embeddings.weight`, classNames.length, w);
    part.linear("shared/stem.patches.project", [`${embeddings}.patch_embeddings.projection`], channels * patchSize ** 2, w, (out) => [
      out,
      channels,
      patchSize,
      patchSize,
    ]);
    part.linear("shared/noise.in", [`${root}vit.time_embedder.mlp.0`], 256, condWidth);
    part.linear("shared/noise.out", [`${root}vit.time_embedder.mlp.2`], condWidth, condWidth);
    part.norm("shared/head.norm", `${root}vit.layernorm`, w);
    part.linear("shared/head.modulation.modulate", [`${root}adaLN_modulation.linear`], condWidth, 2 * w);
    part.linear("shared/head.classifier", [`${root}classifier`], w, classNames.length);
    for (let i = 0; i < numLayers; i++)
      layer(part, `block-${Math.floor((i * numBlocks) / numLayers)}/layers.${i}`, `${root}vit.encoder.layer.${i}`, sizes);
    weights.refuseRest(/^sigmas$/); // the grid of prediction, which the number of blocks says
    return {
      model: {
        name: "vit",
        width: w,
        numLayers,
        numHeads: sizes.numHeads,
        mlpWidth: sizes.mlpWidth,
        patchSize,
        dropout: config.hidden_dropout_prob ?? 0,
        labelToken: "class",
        initialization: "normal",
        epsilon: config.layer_norm_eps ?? 1e-12,
      },
      method: { name: "blocks", numBlocks, condWidth, ...published },
      shape: { kind: "images", imageSize: sizes.imageSize, channels, classNames },
      values,
    };
  },
};

/** The choices of the released code; EDM's noise. */
const published = {
  pMean: -1.2,
  pStd: 1.2,
  sigmaMin: 0.002,
  sigmaMax: 80,
  sigmaData: 0.5,
  shared: "together",
  targetEmbedding: "learned",
  lossWeighting: "batch-mean",
  headInput: "mixed",
  labelLikelihood: "learned",
  initialGate: 0,
  sampling: { grid: "equi-probability", estimate: "soft", readout: "last" },
} as const;

function sizesOf(config: PublishedConfig) {
  const names = ["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "image_size", "patch_size"];
  const [w, numLayers, numHeads, mlpWidth, imageSize, patchSize] = names.map((name) => sizeOf(config, name)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const numBlocks = sizeOf(config, "num_blocks");
  if (numLayers % numBlocks !== 0) {
    const message = `config.json: ${numBlocks} blocks do not divide ${numLayers} layers; the released code would leave the rest out. Give num_blocks as it was trained.`;
    throw new UsageError("badConfig", { name: "num_blocks", value: numBlocks, numLayers }, message);
  }
  return {
    w,
    numLayers,
    numHeads,
    mlpWidth,
    imageSize,
    patchSize,
    numBlocks,
    channels: sizeOf(config, "num_channels", 3),
    condWidth: sizeOf(config, "cond_hidden_size", Math.floor(w / 6)),
    numTokens: (imageSize / patchSize) ** 2 + 1,
  };
}

type Sizes = ReturnType<typeof sizesOf>;

function layer(part: ReturnType<typeof partsOf>, ours: string, theirs: string, { w, mlpWidth, condWidth }: Sizes): void {
  const attention = ["query", "key", "value"].map((name) => `${theirs}.attention.attention.${name}`);
  part.norm(`${ours}.norm1`, `${theirs}.layernorm_before`, w);
  part.norm(`${ours}.norm2`, `${theirs}.layernorm_after`, w);
  part.split([`${ours}.norm1.modulate`, `${ours}.norm2.modulate`], `${theirs}.adaLN_modulation.linear`, condWidth, 3 * w);
  part.linear(`${ours}.attention.qkv`, attention, w, w);
  part.linear(`${ours}.attention.out`, [`${theirs}.attention.output.dense`], w, w);
  part.linear(`${ours}.mlp.up`, [`${theirs}.intermediate.dense`], w, mlpWidth);
  part.linear(`${ours}.mlp.down`, [`${theirs}.output.dense`], mlpWidth, w);
}
