import { type Layout, lengthOf, refuseOther, sizeOf, withStart } from "./layout.ts";

/**
 * Llama (Touvron et al. 2023) of Hugging Face. The start of a text, which ours reads before its first token, is the token that
 * `bos_token_id` names: the logits at place i are those of the published network behind that token and i tokens of the text.
 */
export const llama: Layout = {
  types: ["llama"],
  read: (config, weights, asked) => {
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
    const values = new Map<string, Float32Array>();
    const set = (path: string, numbers: Float32Array): void => void values.set(`network/${path}`, numbers);
    set("stem.table", withStart(config, weights.take("model.embed_tokens.weight", vocabSize, w), vocabSize));
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
      shape: { kind: "text", vocabSize, length: lengthOf(asked, sizeOf(config, "max_position_embeddings", 2048), false) },
      values,
    };
  },
};
