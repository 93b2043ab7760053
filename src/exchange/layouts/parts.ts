import type { PublishedWeights } from "../publishedWeights.ts";

/** Puts linear layers and norms of PyTorch where ours are. */
export function partsOf(weights: PublishedWeights, values: Map<string, Float32Array>) {
  const put = (path: string, weight: Float32Array, bias: Float32Array): void => {
    values.set(`${path}.weight`, weight);
    values.set(`${path}.bias`, bias);
  };
  /** A linear layer of ours, of some of the outputs of one of theirs. */
  const ofColumns = (path: string, { weight, bias }: { weight: Float32Array; bias: Float32Array }, columns: readonly number[]): void => {
    const [all, inputs] = [bias.length, weight.length / bias.length];
    const own = new Float32Array(inputs * columns.length);
    for (let row = 0; row < inputs; row++)
      for (const [i, column] of columns.entries()) own[row * columns.length + i] = weight[row * all + column]!;
    put(
      path,
      own,
      Float32Array.from(columns, (column) => bias[column]!),
    );
  };
  const whole = (name: string, inputs: number, outputs: number) => ({
    weight: weights.columns([`${name}.weight`], inputs, [outputs]),
    bias: weights.take(`${name}.bias`, outputs),
  });
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
  return {
    /** One of ours, of one or several of theirs side by side. */
    linear: (path: string, names: readonly string[], inputs: number, out: number, shapeOf?: (out: number) => number[]): void => {
      const outs = names.map(() => out);
      const named = (part: string): string[] => names.map((name) => `${name}.${part}`);
      put(path, weights.columns(named("weight"), inputs, outs, shapeOf), weights.joined(named("bias"), outs));
    },
    /** Several of ours of `out` outputs each, of one of theirs. */
    split: (paths: readonly string[], name: string, inputs: number, out: number): void => {
      const theirs = whole(name, inputs, paths.length * out);
      for (const [i, path] of paths.entries())
        ofColumns(
          path,
          theirs,
          numbers(out).map((column) => i * out + column),
        );
    },
    /** One of ours, of some of the outputs of one of theirs. */
    rows: (path: string, name: string, inputs: number, outputs: number, isTaken: (output: number) => boolean): void =>
      ofColumns(path, whole(name, inputs, outputs), numbers(outputs).filter(isTaken)),
    norm: (path: string, name: string, width: number): void => {
      values.set(`${path}.gain`, weights.take(`${name}.weight`, width));
      values.set(`${path}.bias`, weights.take(`${name}.bias`, width));
    },
  };
}
