import { ddpmLogSigmas } from "../../diffusion/index.ts";
import { FormatError } from "../../errors.ts";
import { sinCosPositions } from "../../nn/index.ts";
import { type Layout, type PublishedConfig, refuseOther, sizeOf } from "./layout.ts";
import { partsOf } from "./parts.ts";

/**
 * The diffusion transformer of facebookresearch/DiT (Peebles & Xie 2023), which finds the noise that DDPM added in 1,000 steps. Beside its
 * `state_dict` no configuration is published: config.json holds the arguments of its constructor and `"model_type": "DiT"`. Outputs for
 * variances (`learn_sigma`), which samplers of the probability flow have no use for, are left out.
 */
export const dit: Layout = {
  types: ["DiT"],
  read: (config, weights) => {
    refuseOther(config, "learn_sigma", [true, false]);
    const sizes = sizesOf(config);
    const { w, depth, mlpWidth, patchSize, channels, imageSize, numClasses } = sizes;
    const values = new Map<string, Float32Array>();
    const part = partsOf(weights, values);
    part.linear("block-0/stem.patches.project", ["x_embedder.proj"], channels * patchSize ** 2, w, (out) => [
      out,
      channels,
      patchSize,
      patchSize,
    ]);
    const tokens = (imageSize / patchSize) ** 2;
    checkPositions(weights.take("pos_embed", 1, tokens, w), imageSize / patchSize, w);
    part.linear("block-0/noise.in", ["t_embedder.mlp.0"], 256, w);
    part.linear("block-0/noise.out", ["t_embedder.mlp.2"], w, w);
    values.set("block-0/labels.table", weights.take("y_embedder.embedding_table.weight", numClasses + 1, w));
    for (let i = 0; i < depth; i++) {
      const [ours, theirs] = [`block-0/layers.${i}`, `blocks.${i}`];
      part.linear(`${ours}.attention.qkv`, [`${theirs}.attn.qkv`], w, 3 * w);
      part.linear(`${ours}.attention.out`, [`${theirs}.attn.proj`], w, w);
      part.linear(`${ours}.mlp.up`, [`${theirs}.mlp.fc1`], w, mlpWidth);
      part.linear(`${ours}.mlp.down`, [`${theirs}.mlp.fc2`], mlpWidth, w);
      part.split([`${ours}.norm1.modulate`, `${ours}.norm2.modulate`], `${theirs}.adaLN_modulation.1`, w, 3 * w);
    }
    part.linear("block-0/head.modulation.modulate", ["final_layer.adaLN_modulation.1"], w, 2 * w);
    const outputs = config.learn_sigma === false ? channels : 2 * channels;
    part.rows("block-0/head.project", "final_layer.linear", w, patchSize ** 2 * outputs, (row) => row % outputs < channels);
    weights.refuseRest(/^$/);
    const isLatent = channels !== 3;
    return {
      model: { name: "dit", patchSize, width: w, numLayers: depth, numHeads: sizes.numHeads, mlpWidth, dropout: 0, epsilon: 1e-6 },
      method: { name: "end-to-end", preconditioning: "ddpm", ...ddpmNoise },
      shape: {
        kind: "images",
        imageSize,
        channels,
        classNames: Array.from({ length: numClasses }, (_, i) => classNameOf(config, i)),
        ...(isLatent && { isLatent, normalisation: { mean: 0, std: 1 / latentFactor } }),
      },
      values,
    };
  },
};

/** By which latents of the published encoder are multiplied. */
const latentFactor = 0.182_15;

/** ln σ of DDPM's steps, all of them alike often. */
const ddpmNoise = (() => {
  const pMean = ddpmLogSigmas.reduce((a, b) => a + b) / ddpmLogSigmas.length;
  const pStd = Math.sqrt(ddpmLogSigmas.reduce((sum, x) => sum + (x - pMean) ** 2, 0) / ddpmLogSigmas.length);
  return { pMean, pStd, sigmaMin: Math.exp(ddpmLogSigmas[0]!), sigmaMax: Math.exp(ddpmLogSigmas.at(-1)!) };
})();

function sizesOf(config: PublishedConfig) {
  const w = sizeOf(config, "hidden_size", 1152);
  return {
    w,
    depth: sizeOf(config, "depth", 28),
    numHeads: sizeOf(config, "num_heads", 16),
    mlpWidth: Math.trunc(w * sizeOf(config, "mlp_ratio", 4)),
    imageSize: sizeOf(config, "input_size", 32),
    patchSize: sizeOf(config, "patch_size", 2),
    channels: sizeOf(config, "in_channels", 4),
    numClasses: sizeOf(config, "num_classes", 1000),
  };
}

function classNameOf({ id2label }: PublishedConfig, i: number): string {
  return (id2label as Readonly<Record<string, string>> | undefined)?.[i] ?? String(i);
}

/** Positions are fixed in both networks. @throws {FormatError} if a file has others. */
function checkPositions(found: Float32Array, side: number, width: number): void {
  const { source } = sinCosPositions(side, width);
  const expected = source?.kind === "constant" ? (source.data as Float32Array) : [];
  const at = found.findIndex((x, i) => !(Math.abs(x - expected[i]!) < 1e-3)); // of half precision too
  if (at < 0) return;
  const message = `pos_embed holds ${found[at]} at number ${at}; this architecture has fixed positions, ${expected[at]} there.`;
  throw new FormatError("otherPositions", { at, found: found[at] }, message);
}
