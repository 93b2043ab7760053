import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type NamedArray, writeSafetensors } from "../../src/formats/index.ts";
import { fold, key, normals } from "../../src/random.ts";
import { folder } from "./cli.ts";

export type Matrix = number[][];
export type Weights = Map<string, NamedArray>;

/** Random weights under the published names. */
export function weightsOf(shapes: Readonly<Record<string, readonly number[]>>): Weights {
  return new Map(
    Object.entries(shapes).map(([name, shape]) => {
      const size = shape.reduce((product, d) => product * d, 1);
      const scale = /norm.*weight/.test(name) ? 0.1 : 0.4;
      const data = normals(fold(key("published"), name), size).map((x) => scale * x + (/norm.*weight/.test(name) ? 1 : 0));
      return [name, { name, dtype: "F32", shape, data }];
    }),
  );
}

export function publish(name: string, config: object, weights: Weights, more: Readonly<Record<string, string>> = {}): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, "config.json"), JSON.stringify(config));
  writeFileSync(join(path, "model.safetensors"), writeSafetensors(weights.values()));
  for (const [file, content] of Object.entries(more)) writeFileSync(join(path, file), content);
  return path;
}

// Plain arrays, as the architectures are described: each a row for a token.
export const rowsOf = ({ shape, data }: NamedArray): Matrix => {
  const width = shape.slice(1).reduce((a, b) => a * b, 1);
  return Array.from({ length: shape[0]! }, (_, i) => Array.from((data as Float32Array).subarray(i * width, (i + 1) * width)));
};
export const vectorOf = ({ data }: NamedArray): number[] => Array.from(data as Float32Array);
export const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
/** x Wᵀ + b, W being [out, in]. */
export const linear = (x: Matrix, w: Matrix, b?: readonly number[]): Matrix =>
  x.map((row) => w.map((own, o) => dot(row, own) + (b?.[o] ?? 0)));
export const plus = (a: Matrix, b: Matrix): Matrix => a.map((row, i) => row.map((x, j) => x + b[i]![j]!));
export const layerNorm = (x: Matrix, gain: readonly number[], bias: readonly number[], epsilon: number): Matrix =>
  x.map((row) => {
    const mean = row.reduce((a, b) => a + b, 0) / row.length;
    const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / row.length;
    return row.map((v, i) => ((v - mean) / Math.sqrt(variance + epsilon)) * gain[i]! + bias[i]!);
  });
export const rmsNorm = (x: Matrix, gain: readonly number[], epsilon: number): Matrix =>
  x.map((row) => row.map((v, i) => (v / Math.sqrt(dot(row, row) / row.length + epsilon)) * gain[i]!));
export const softmax = (row: readonly number[]): number[] => {
  const top = Math.max(...row);
  const all = row.map((x) => Math.exp(x - top));
  const sum = all.reduce((a, b) => a + b, 0);
  return all.map((x) => x / sum);
};
/** Heads of queries; those of keys and values may be fewer. */
export const attend = (q: Matrix, k: Matrix, v: Matrix, heads: number, isCausal: boolean): Matrix =>
  q.map((query, i) => {
    const size = query.length / heads;
    const group = (heads * size) / k[0]!.length;
    return Array.from({ length: heads }, (_, h) => {
      const part = (row: readonly number[], head: number): number[] => row.slice(head * size, (head + 1) * size);
      const own = Math.floor(h / group);
      const seen = isCausal ? i + 1 : k.length;
      const weights = softmax(Array.from({ length: seen }, (_, j) => dot(part(query, h), part(k[j]!, own)) / Math.sqrt(size)));
      return Array.from({ length: size }, (_, c) => weights.reduce((sum, w, j) => sum + w * part(v[j]!, own)[c]!, 0));
    }).flat();
  });
/** Abramowitz and Stegun 7.1.26 is too coarse: the error function by its series. */
export const erf = (x: number): number => {
  let [term, sum] = [x, x];
  for (let n = 1; n < 80; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
};
export const gelu = (x: number): number => 0.5 * x * (1 + erf(x / Math.SQRT2));

/** A tokenizer.json of the words t0, t1, … */
export function wordLevelTokenizer(vocabSize: number): string {
  return JSON.stringify({
    version: "1.0",
    model: { type: "WordLevel", vocab: Object.fromEntries(Array.from({ length: vocabSize }, (_, i) => [`t${i}`, i])), unk_token: "t0" },
    normalizer: null,
    pre_tokenizer: { type: "Whitespace" },
    post_processor: null,
    decoder: null,
    added_tokens: [],
  });
}

export const silu = (x: number): number => x / (1 + Math.exp(-x));

/** Patches of an image [channels · size · size], row by row, each in the order (channel, row, column). */
export function patchesOf(
  image: Float32Array,
  { size, patch, channels }: { readonly size: number; readonly patch: number; readonly channels: number },
): Matrix {
  const patches: Matrix = [];
  for (let row = 0; row < size; row += patch)
    for (let column = 0; column < size; column += patch)
      patches.push(
        Array.from({ length: channels * patch * patch }, (_, i) => {
          const [c, y, x] = [Math.floor(i / patch ** 2), Math.floor(i / patch) % patch, i % patch];
          return image[(c * size + row + y) * size + column + x]!;
        }),
      );
  return patches;
}
