import { classNamesOf, type Layout, refuseOther, sizeOf } from "./layout.ts";

/**
 * Vision transformers of Hugging Face: ViT (Dosovitskiy et al. 2021), and DeiT (Touvron et al. 2021), whose distillation token is a
 * further token behind the class token.
 */
export const visionTransformer: Layout = {
  types: ["vit", "deit"],
  read: (config, weights) => {
    refuseOther(config, "hidden_act", ["gelu"]);
    const [width, numLayers, numHeads] = ["hidden_size", "num_hidden_layers", "num_attention_heads"].map((name) => sizeOf(config, name));
    const [w, mlpWidth] = [width!, sizeOf(config, "intermediate_size")];
    const [imageSize, patchSize, channels] = [
      sizeOf(config, "image_size"),
      sizeOf(config, "patch_size"),
      sizeOf(config, "num_channels", 3),
    ];
    const classNames = classNamesOf(config);
    const isDistilled = config.model_type === "deit";
    const root = isDistilled ? "deit" : "vit";
    const extraTokens = isDistilled ? 1 : 0;
    const patch = channels * patchSize ** 2;
    const values = new Map<string, Float32Array>();
    const set = (path: string, numbers: Float32Array): void => void values.set(`network/${path}`, numbers);
    const embeddings = `${root}.embeddings`;
    const projection = `${embeddings}.patch_embeddings.projection`;
    set(
      "stem.patches.project.weight",
      weights.columns([`${projection}.weight`], patch, [w], (out) => [out, channels, patchSize, patchSize]),
    );
    set("stem.patches.project.bias", weights.take(`${projection}.bias`, w));
    set("stem.classToken", weights.take(`${embeddings}.cls_token`, 1, 1, w));
    if (isDistilled) set("stem.extraTokens", weights.take(`${embeddings}.distillation_token`, 1, 1, w));
    const numTokens = (imageSize / patchSize) ** 2 + 1 + extraTokens;
    set("stem.positions", weights.take(`${embeddings}.position_embeddings`, 1, numTokens, w));
    for (let i = 0; i < numLayers!; i++) {
      const [ours, theirs] = [`layers.${i}`, `${root}.encoder.layer.${i}`];
      const parts = ["query", "key", "value"].map((part) => `${theirs}.attention.attention.${part}`);
      const named = (suffix: string): string[] => parts.map((part) => `${part}.${suffix}`);
      set(`${ours}.attention.qkv.weight`, weights.columns(named("weight"), w, [w, w, w]));
      set(`${ours}.attention.qkv.bias`, config.qkv_bias === false ? new Float32Array(3 * w) : weights.joined(named("bias"), [w, w, w]));
      const linear = (path: string, name: string, inputs: number, out: number): void => {
        set(`${ours}.${path}.weight`, weights.columns([`${theirs}.${name}.weight`], inputs, [out]));
        set(`${ours}.${path}.bias`, weights.take(`${theirs}.${name}.bias`, out));
      };
      linear("attention.out", "attention.output.dense", w, w);
      linear("mlp.up", "intermediate.dense", w, mlpWidth);
      linear("mlp.down", "output.dense", mlpWidth, w);
      for (const [path, name] of [
        ["norm1", "layernorm_before"],
        ["norm2", "layernorm_after"],
      ] as const) {
        set(`${ours}.${path}.gain`, weights.take(`${theirs}.${name}.weight`, w));
        set(`${ours}.${path}.bias`, weights.take(`${theirs}.${name}.bias`, w));
      }
    }
    set("head.norm.gain", weights.take(`${root}.layernorm.weight`, w));
    set("head.norm.bias", weights.take(`${root}.layernorm.bias`, w));
    set("head.classifier.weight", weights.columns(["classifier.weight"], w, [classNames.length]));
    set("head.classifier.bias", weights.take("classifier.bias", classNames.length));
    weights.refuseRest(/position_ids$/);
    return {
      model: {
        name: "vit",
        width: w,
        numLayers,
        numHeads,
        mlpWidth,
        patchSize,
        dropout: 0,
        ...(isDistilled && { extraTokens }),
        epsilon: config.layer_norm_eps ?? 1e-12,
      },
      shape: { kind: "images", imageSize, channels, classNames },
      values,
    };
  },
};
