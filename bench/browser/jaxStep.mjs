// The step of benchStepper (src/measure/bench.ts) in jax-js: a bare pre-norm transformer, the mean square of its output, AdamW; one jitted function.
// Arrays of jax-js are counted: what is used again is passed on as x.ref.
import { blockUntilReady, defaultDevice, init, jit, nn, numpy as np, tree, valueAndGrad } from "@jax-js/jax";

const [beta1, beta2, epsilon, weightDecay, learningRate] = [0.9, 0.999, 1e-8, 0.01, 1e-3];

/** Numbers that are spread like those of a linear layer that starts. */
function spread(inputs, outputs) {
  const bound = 1 / Math.sqrt(inputs);
  let state = 12345 + inputs * 7 + outputs;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return bound * (2 * (state / 2 ** 32) - 1);
  };
  return np.array(Float32Array.from({ length: inputs * outputs }, next)).reshape([inputs, outputs]);
}

function parameters({ width, layers }) {
  const dense = (inputs, outputs) => ({ w: spread(inputs, outputs), b: np.zeros([outputs]) });
  const norm = () => ({ gain: np.ones([width]), bias: np.zeros([width]) });
  return Array.from({ length: layers }, () => ({
    norm1: norm(),
    query: dense(width, width),
    key: dense(width, width),
    value: dense(width, width),
    out: dense(width, width),
    norm2: norm(),
    up: dense(width, 4 * width),
    down: dense(4 * width, width),
  }));
}

function lossOf({ batch, tokens, width, heads }) {
  const rows = batch * tokens;
  const dense = (x, { w, b }) => np.dot(x, w).add(b);
  const norm = (x, { gain, bias }) => nn.standardize(x, -1, { epsilon: 1e-5 }).mul(gain).add(bias);
  const split = (x) => x.reshape([batch, tokens, heads, width / heads]);
  return (stack, x) => {
    let h = x.reshape([rows, width]);
    for (const layer of stack) {
      const n = norm(h.ref, layer.norm1);
      const [query, key, value] = [dense(n.ref, layer.query), dense(n.ref, layer.key), dense(n, layer.value)].map(split);
      h = h.add(dense(nn.dotProductAttention(query, key, value).reshape([rows, width]), layer.out));
      h = h.ref.add(dense(nn.gelu(dense(norm(h, layer.norm2), layer.up), { approximate: false }), layer.down));
    }
    return np.mean(np.square(h));
  };
}

export async function jaxStepper(one) {
  const devices = await init("wasm");
  if (!devices.includes("wasm")) throw new Error("jax-js has no WebAssembly here");
  defaultDevice("wasm");
  const step = jit((weights, first, second, input, corrections) => {
    const [loss, gradients] = valueAndGrad(lossOf(one))(tree.ref(weights), input);
    const nextFirst = tree.map((m, g) => m.mul(beta1).add(g.ref.mul(1 - beta1)), first, tree.ref(gradients));
    const nextSecond = tree.map((v, g) => v.mul(beta2).add(np.square(g).mul(1 - beta2)), second, gradients);
    const next = tree.map(
      (w, m, v) => {
        const root = np.sqrt(v.mul(corrections.ref.slice(1))).add(epsilon);
        const change = m.mul(corrections.ref.slice(0)).div(root);
        return w.ref.mul(1 - learningRate * weightDecay).sub(change.mul(learningRate));
      },
      weights,
      tree.ref(nextFirst),
      tree.ref(nextSecond),
    );
    return { loss, weights: next, first: nextFirst, second: nextSecond };
  });
  const zeros = (like) => tree.map((w) => np.zeros(w.shape), like);
  let weights = parameters(one);
  let [first, second] = [zeros(weights), zeros(weights)];
  const size = one.batch * one.tokens * one.width;
  const data = Float32Array.from({ length: size }, (_, i) => Math.sin(i));
  let steps = 0;
  return {
    step: async () => {
      const start = performance.now();
      steps++;
      const input = np.array(data).reshape([one.batch, one.tokens, one.width]);
      const corrections = np.array(new Float32Array([1 / (1 - beta1 ** steps), 1 / (1 - beta2 ** steps)]));
      const result = step(weights, first, second, input, corrections);
      ({ weights, first, second } = result);
      await blockUntilReady([weights, first, second]);
      const [loss] = await result.loss.data();
      return { ms: performance.now() - start, loss };
    },
  };
}
