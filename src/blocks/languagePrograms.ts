import { following, type KeyValue, plainContext } from "../nn/index.ts";
import { concat, crossEntropy, filled, input, reshape, slice, type Tensor } from "../tensor/index.ts";
import { cacheInputs, once, whenAsked } from "../train/index.ts";
import type { Estimate } from "./block.ts";
import { type BlockViews, embeddingErrors, meanEmbedding, ofWholeGroups, plainPass } from "./languageBlock.ts";
import type { LanguageParts } from "./languageBlocks.ts";
import { fedLevels } from "./levels.ts";

/**
 * The prediction programs of a language model in blocks. Of whole sequences, with tokens, z and levels fed:
 *
 * - `block-b`: what the block says of each token from its noisy embedding and the tokens before it, `evidence` and `logits`
 * - `block-b entry`: −ln p of each token by the evidence alone, `nats`
 * - `block-b loss`: the same by the logits, `nats`
 * - `block-b denoised`, `block-b measured`: the estimate of its embedding, and its squared error
 * - `block-b read`, `block-b said`: of readings that speak, −ln p of each token, and the scores
 *
 * `block-b next` reads one token, or group, behind those whose keys and values are fed, and estimates the next; `targets` gives the table of embeddings.
 */
export function languagePrograms(parts: LanguageParts, batchSize: number): Record<string, Record<string, Tensor>> {
  const { architecture, blocks, targets, speaking, startOf, answered, spoken } = parts;
  const { length, width } = architecture;
  const tokens = input("tokens", [batchSize, length], "int32");
  const noisy = { z: input("z", [batchSize, length, width]), levels: fedLevels(batchSize) };
  const whole = blocks.flatMap((block, b) => {
    const passed = once(() => block.readAndEstimate(startOf(b, tokens, plainPass), noisy, plainPass));
    const each = (f: (answer: Estimate, tokens: Tensor) => Tensor): Tensor => answered(b, passed().estimate, noisy, tokens, f);
    const programs: Record<string, () => Record<string, Tensor>> = {
      [`block-${b}`]: () => ({ ...block.answer(passed().estimate, noisy.z, noisy.levels.sigma) }),
      [`block-${b} entry`]: () => ({ nats: each(({ evidence }, own) => crossEntropy(evidence, own)) }),
      [`block-${b} loss`]: () => ({ nats: each(({ logits }, own) => crossEntropy(logits, own)) }),
      [`block-${b} denoised`]: () => ({ denoised: each(({ logits }) => meanEmbedding(logits, targets)) }),
      [`block-${b} measured`]: () => ({ squaredError: each(({ logits }, own) => embeddingErrors(logits, own, targets)) }),
      [`block-${b} next`]: () => nextProgram(parts, b, batchSize),
    };
    const speaks: typeof programs = {
      [`block-${b} read`]: () => ({ nats: spoken(b, passed().reading, tokens) }),
      [`block-${b} said`]: () => ({ scores: block.say(passed().reading) }),
    };
    return Object.entries({ ...programs, ...(speaking.includes(b) && speaks) });
  });
  return whenAsked({ targets: () => ({ table: targets.table }), ...Object.fromEntries(whole) });
}

/** One more token, or group, read by block b, and the next one estimated. Where blocks are stacked, all but the first read the state of the one below. */
function nextProgram(
  { architecture, ranges, blocks, reading, groupSize, speaking }: LanguageParts,
  b: number,
  batchSize: number,
): Record<string, Tensor> {
  const { vocabSize, width } = architecture;
  const block = blocks[b]!;
  const first = ranges[b]![0];
  const cache = cacheInputs(architecture, batchSize, groupSize);
  const state = [batchSize, groupSize, width] as const;
  const before = reshape(input("before", [batchSize * groupSize], "int32"), [batchSize, groupSize]);
  const start = reading === "stacked" && b > 0 ? input("below", state) : block.embed(before, plainContext);
  const pasts = Array.from({ length: block.numLayers }, (_, i) => cache.past(first + i));
  const isFilled = concat([cache.isFilled, cache.isFresh ?? filled(1, [1])], 0);
  const estimated = groupSize === 1 ? cache.positions : input("estimated", [1, groupSize], "int32");
  const views: BlockViews = {
    reading: (i) => following(pasts[i]!, cache.isFilled, cache.positions, cache.isFresh),
    estimate: (i, made) => following(joined(pasts[i]!, made), isFilled, estimated),
    before: (read) => ofWholeGroups(reshape(slice(read, 1, groupSize - 1, groupSize), [batchSize, 1, 1, width]), groupSize),
  };
  const noisy = { z: input("z", state), levels: fedLevels(batchSize) };
  const { reading: read, estimate, kept } = block.readAndEstimate(start, noisy, plainPass, views);
  for (const [i, made] of kept.entries()) cache.keep(first + i, made);
  const { evidence, logits } = block.answer(estimate, noisy.z, noisy.levels.sigma);
  const flat = (x: Tensor): Tensor => reshape(x, [batchSize * groupSize, vocabSize]);
  const said = speaking.includes(b) ? { said: flat(block.say(read)) } : {};
  return { evidence: flat(evidence), logits: flat(logits), ...said, state: read.state, ...cache.made };
}

function joined(a: KeyValue, b: KeyValue): KeyValue {
  return { key: concat([a.key, b.key], 1), value: concat([a.value, b.value], 1) };
}
