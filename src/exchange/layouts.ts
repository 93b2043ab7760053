import { UsageError } from "../errors.ts";
import type { PublishedWeights } from "./publishedWeights.ts";

/** The configuration that lies beside published weights. */
export type PublishedConfig = Readonly<Record<string, unknown>>;

/** A published network as one of ours, trained end to end. */
export interface PublishedNetwork {
  /** Its name and options. */
  readonly model: { readonly name: string; readonly [option: string]: unknown };
  /** What it must know of its data: sizes of images, or of text. */
  readonly shape:
    | { readonly kind: "images"; readonly imageSize: number; readonly channels: number; readonly classNames: readonly string[] }
    | { readonly kind: "text"; readonly vocabSize: number; readonly mostTokens: number };
  /** Of each parameter by its path, its numbers. */
  readonly values: ReadonlyMap<string, Float32Array>;
}

/** A published architecture: how its tensors are called, and where their numbers lie in ours. */
export interface Layout {
  /** As in `model_type` of config.json. */
  readonly types: readonly string[];
  /** @throws {FormatError} for a missing, misshapen or unknown tensor. {UsageError} for an option that ours lacks. */
  read(config: PublishedConfig, weights: PublishedWeights): PublishedNetwork;
}

/** A whole number of a configuration. @throws {UsageError} if it is none. */
function sizeOf(config: PublishedConfig, name: string, byDefault?: number): number {
  const value = config[name] ?? byDefault;
  if (Number.isInteger(value) && (value as number) > 0) return value as number;
  throw new UsageError(
    "badConfig",
    { name, value },
    `config.json: ${name} is ${JSON.stringify(value)}; a whole number above 0 is expected.`,
  );
}

function refuseOther(config: PublishedConfig, name: string, allowed: readonly unknown[]): void {
  const value = config[name];
  if (value === undefined || value === null || allowed.includes(value)) return;
  const message = `config.json: ${name} is ${JSON.stringify(value)}; this architecture is known with ${allowed.map((one) => JSON.stringify(one)).join(" or ")} alone.`;
  throw new UsageError("otherArchitecture", { name, value }, message);
}

/**
 * Vision transformers of Hugging Face: ViT (Dosovitskiy et al. 2021), and DeiT (Touvron et al. 2021), whose distillation token is a
 * further token behind the class token.
 */
const visionTransformer: Layout = {
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
    const labels = (config.id2label ?? {}) as Readonly<Record<string, string>>;
    const classNames = Object.keys(labels).length > 0 ? Object.values(labels) : ["0", "1"];
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

/**
 * Llama (Touvron et al. 2023) of Hugging Face. The start of a text, which ours reads before its first token, is the token that
 * `bos_token_id` names: the logits at place i are those of the published network behind that token and i tokens of the text.
 */
const llama: Layout = {
  types: ["llama"],
  read: (config, weights) => {
    refuseOther(config, "hidden_act", ["silu"]);
    refuseOther(config, "attention_bias", [false]);
    refuseOther(config, "mlp_bias", [false]);
    refuseOther(config, "rope_scaling", []);
    const [w, numLayers, numHeads] = [
      sizeOf(config, "hidden_size"),
      sizeOf(config, "num_hidden_layers"),
      sizeOf(config, "num_attention_heads"),
    ];
    refuseOther(config, "head_dim", [w / numHeads]);
    const [numKeyHeads, hidden] = [sizeOf(config, "num_key_value_heads", numHeads), sizeOf(config, "intermediate_size")];
    const vocabSize = sizeOf(config, "vocab_size");
    const keyWidth = (w / numHeads) * numKeyHeads;
    const start = config.bos_token_id;
    if (!(Number.isInteger(start) && (start as number) >= 0 && (start as number) < vocabSize)) {
      const message = `config.json: bos_token_id is ${JSON.stringify(start)}; the number of the token that begins a text is needed.`;
      throw new UsageError("badConfig", { name: "bos_token_id", value: start }, message);
    }
    const values = new Map<string, Float32Array>();
    const set = (path: string, numbers: Float32Array): void => void values.set(`network/${path}`, numbers);
    const embeddings = weights.take("model.embed_tokens.weight", vocabSize, w);
    const table = new Float32Array((vocabSize + 1) * w);
    table.set(embeddings);
    table.set(embeddings.subarray((start as number) * w, ((start as number) + 1) * w), vocabSize * w);
    set("stem.table", table);
    for (let i = 0; i < numLayers; i++) {
      const [ours, theirs] = [`layers.${i}`, `model.layers.${i}`];
      const named = (...parts: readonly string[]): string[] => parts.map((part) => `${theirs}.${part}.weight`);
      const attention = named("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj");
      set(`${ours}.attention.qkv.weight`, weights.columns(attention, w, [w, keyWidth, keyWidth]));
      set(`${ours}.attention.out.weight`, weights.columns(named("self_attn.o_proj"), w, [w]));
      set(`${ours}.mlp.up.weight`, weights.columns(named("mlp.gate_proj", "mlp.up_proj"), w, [hidden, hidden]));
      set(`${ours}.mlp.down.weight`, weights.columns(named("mlp.down_proj"), hidden, [w]));
      set(`${ours}.norm1.gain`, weights.take(`${theirs}.input_layernorm.weight`, w));
      set(`${ours}.norm2.gain`, weights.take(`${theirs}.post_attention_layernorm.weight`, w));
    }
    set("head.norm.gain", weights.take("model.norm.weight", w));
    const head = config.tie_word_embeddings === true && !weights.has("lm_head.weight") ? "model.embed_tokens.weight" : "lm_head.weight";
    set("head.classifier.weight", weights.columns([head], w, [vocabSize]));
    weights.refuseRest(/rotary_emb\.inv_freq$/);
    return {
      model: {
        name: "autoregressive",
        width: w,
        numLayers,
        numHeads,
        numKeyHeads,
        mlpWidth: hidden,
        dropout: 0,
        rotaryBase: config.rope_theta ?? 10_000,
        epsilon: config.rms_norm_eps ?? 1e-6,
      },
      shape: { kind: "text", vocabSize, mostTokens: sizeOf(config, "max_position_embeddings", 2048) },
      values,
    };
  },
};

/** Published architectures that can be read. */
export const layouts: readonly Layout[] = [visionTransformer, llama];

/** The layout of a configuration. @throws {UsageError} if its architecture is not known. */
export function layoutOf(config: PublishedConfig): Layout {
  const type = config.model_type;
  const layout = layouts.find(({ types }) => types.includes(String(type)));
  if (layout !== undefined) return layout;
  const known = layouts.flatMap(({ types }) => types).join(", ");
  const message = `config.json: the architecture ${JSON.stringify(type)} is not known; known are ${known}, and runs that dblocks export --format safetensors wrote.`;
  throw new UsageError("unknownArchitecture", { type }, message);
}
