import { eulerStep, type Partition } from "../diffusion/index.ts";
import { fold, type Key, normal, uniform } from "../random.ts";
import { filled, greater, input, random, reshape, where } from "../tensor/index.ts";
import type { CallProgram } from "../train/index.ts";
import { type Bridge, bridge } from "./bridge.ts";
import type { NoisyTokens } from "./languageBlock.ts";
import { levelFeeds, levelsAt, type NoiseLevels } from "./levels.ts";
import { entryLevel } from "./predict.ts";
import type { Targets } from "./targets.ts";

/** A walk from the largest noise down to where a block takes over: each block before is asked once, at the noisy end of its range. */
interface Walk {
  readonly partition: Partition;
  /** At whose entry it ends. */
  readonly block: number;
}

/** For a share of the texts, what the blocks before hand over (the input `handed`) in the place of embeddings with noise. */
export function handedTokens(
  { z, levels }: NoisyTokens & { readonly levels: NoiseLevels },
  { share, key, partition, block }: Walk & { readonly share: number; readonly key: Key },
): NoisyTokens & { readonly levels: NoiseLevels } {
  const batchSize = z.shape[0]!;
  const coin = random(fold(key, "handed"), { name: "uniform", fill: (out, own) => uniform(own, out as Float32Array) }, [batchSize, 1]);
  const isHanded = greater(filled(share, [batchSize, 1]), coin);
  const handed = levelsAt(entryLevel(partition.ranges[block]!, block), partition.noise.sigmaData, batchSize);
  const names = Object.keys(levels) as (keyof NoiseLevels)[];
  return {
    z: where(reshape(isHanded, [batchSize, 1, 1]), input("handed", z.shape), z),
    levels: Object.fromEntries(names.map((name) => [name, where(isHanded, handed[name], levels[name])])) as unknown as NoiseLevels,
  };
}

/** Walks from pure noise through the blocks before, each token given the true ones before it: the input `handed` for the step of a block, nothing for the first. */
export async function handOver({
  targets,
  vocabSize,
  call,
  tokens,
  length,
  key,
  partition,
  block,
  bridge: kind,
}: Walk & {
  readonly bridge: Bridge;
  readonly targets: Targets;
  readonly vocabSize: number;
  readonly call: CallProgram;
  /** [batch, length] */
  readonly tokens: Int32Array;
  readonly length: number;
  readonly key: Key;
}): Promise<Record<string, Float32Array>> {
  if (block === 0) return {};
  const batchSize = tokens.length / length;
  const entries = partition.ranges.slice(0, block + 1).map(entryLevel);
  const width = targets.table.shape[1]!;
  const start = new Float32Array(tokens.length * width);
  normal(fold(key, "walk"), start);
  let z: Float32Array = start.map((x) => x * Math.sqrt(1 + entries[0]! ** 2));
  for (const [b, sigma] of entries.slice(0, block).entries()) {
    const feeds = { tokens, z, ...levelFeeds(new Float32Array(batchSize).fill(sigma), partition.noise.sigmaData) };
    const denoised = await (kind === "soft" ? softly(`block-${b} denoised`, feeds) : byTokens(`block-${b}`, feeds, fold(key, b)));
    z = eulerStep({ z, denoised, sigma, sigmaNext: entries[b + 1]! });
  }
  return { handed: z };

  async function softly(name: string, feeds: Record<string, Float32Array | Int32Array>): Promise<Float32Array> {
    return (await call(name, feeds)).denoised as Float32Array;
  }

  async function byTokens(name: string, feeds: Record<string, Float32Array | Int32Array>, own: Key): Promise<Float32Array> {
    const { logits } = await call(name, feeds);
    return bridge(kind, logits as Float32Array, (await call("targets", {})).table as Float32Array, vocabSize, own);
  }
}
