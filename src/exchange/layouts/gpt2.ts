import { type Layout, lengthOf, refuseOther, sizeOf, withStart } from "./layout.ts";

/**
 * GPT-2 (Radford et al. 2019) of Hugging Face, with and without the prefix `transformer.`. Its linear layers keep their weights as ours do,
 * [in, out]. Its head is the table of tokens, which becomes two tables here. The start of a text is the token that `bos_token_id` names.
 */
export const gpt2: Layout = {
  types: ["gpt2"],
  read: (config, weights, asked) => {
    refuseOther(config, "activation_function", ["gelu_new", "gelu_pytorch_tanh"]);
    refuseOther(config, "scale_attn_weights", [true]);
    refuseOther(config, "scale_attn_by_inverse_layer_idx", [false]);
    refuseOther(config, "add_cross_attention", [false]);
    const [w, numLayers, numHeads] = [sizeOf(config, "n_embd"), sizeOf(config, "n_layer"), sizeOf(config, "n_head")];
    const mlpWidth = sizeOf({ n_inner: config.n_inner ?? 4 * w }, "n_inner");
    const [vocabSize, positions] = [sizeOf(config, "vocab_size"), sizeOf(config, "n_positions", 1024)];
    const length = lengthOf(asked, positions, true);
    const root = weights.has("wte.weight") ? "" : "transformer.";
    const values = new Map<string, Float32Array>();
    const set = (path: string, numbers: Float32Array): void => void values.set(`network/${path}`, numbers);
    set("stem.table", withStart(config, weights.take(`${root}wte.weight`, vocabSize, w), vocabSize));
    set("stem.positions.table", weights.take(`${root}wpe.weight`, positions, w).slice(0, length * w));
    for (let i = 0; i < numLayers; i++) {
      const [ours, theirs] = [`layers.${i}`, `${root}h.${i}`];
      const linear = (path: string, name: string, inputs: number, out: number): void => {
        set(`${ours}.${path}.weight`, weights.take(`${theirs}.${name}.weight`, inputs, out));
        set(`${ours}.${path}.bias`, weights.take(`${theirs}.${name}.bias`, out));
      };
      const norm = (path: string, name: string): void => {
        set(`${ours}.${path}.gain`, weights.take(`${theirs}.${name}.weight`, w));
        set(`${ours}.${path}.bias`, weights.take(`${theirs}.${name}.bias`, w));
      };
      norm("norm1", "ln_1");
      linear("attention.qkv", "attn.c_attn", w, 3 * w);
      linear("attention.out", "attn.c_proj", w, w);
      norm("norm2", "ln_2");
      linear("mlp.up", "mlp.c_fc", w, mlpWidth);
      linear("mlp.down", "mlp.c_proj", mlpWidth, w);
    }
    set("head.norm.gain", weights.take(`${root}ln_f.weight`, w));
    set("head.norm.bias", weights.take(`${root}ln_f.bias`, w));
    set(
      "head.classifier.weight",
      weights.columns([weights.has("lm_head.weight") ? "lm_head.weight" : `${root}wte.weight`], w, [vocabSize]),
    );
    weights.refuseRest(/\.attn\.(masked_)?bias$/); // masks
    return {
      model: {
        name: "autoregressive",
        width: w,
        numLayers,
        numHeads,
        mlpWidth,
        dropout: 0,
        positions: "learned",
        norm: "layer",
        mlp: "gelu-tanh",
        bias: true,
        epsilon: config.layer_norm_epsilon ?? 1e-5,
      },
      shape: { kind: "text", vocabSize, length },
      values,
    };
  },
};
