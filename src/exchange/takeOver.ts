import { UsageError } from "../errors.ts";
import type { Tensor } from "../tensor/index.ts";
import type { ParameterValues, TrainingMethod } from "../train/index.ts";

/**
 * The parameters of a language model in stacked blocks that continues one that was trained end to end: layers, embeddings and head are
 * taken over; the noise conditioning starts as the identity, so that the context stream of the blocks is the pretrained network. The
 * gain and bias of a norm become the constant part of its modulation, (1 + (gain − 1)) n + bias: exact for gains from ½ to 2.
 *
 * @param initial values of what the pretrained network has not.
 * @returns the value of each parameter.
 * @throws {UsageError} if the pretrained network has parameters that the blocks have no place for.
 */
export function takenOver(
  pretrained: Pick<TrainingMethod, "units">,
  pretrainedValues: ParameterValues,
  blocks: Pick<TrainingMethod, "units">,
  initial: ParameterValues,
): ReadonlyMap<string, Float32Array> {
  const sources = parametersOf(pretrained);
  const values = new Map<string, Float32Array>();
  const used = new Set<string>();
  const sourceOf = (path: string): Float32Array => {
    used.add(path);
    return pretrainedValues(path);
  };
  for (const [path, { shape }] of parametersOf(blocks)) {
    const own = `network/${path.slice(path.indexOf("/") + 1)}`;
    const [gain, bias] = ["gain", "bias"].map((part) => own.replace(/\.modulate\.bias$/, `.${part}`)) as [string, string];
    if (sources.get(own)?.shape.join() === shape.join()) values.set(path, sourceOf(own));
    else if (gain !== own && sources.has(gain))
      values.set(path, identityModulation(sourceOf(gain), sources.has(bias) ? sourceOf(bias) : undefined, shape[0]!));
    else values.set(path, initial(path));
  }
  const rest = [...sources.keys()].filter((path) => !used.has(path));
  if (rest.length === 0) return values;
  const message = `finetune: the blocks have no place for ${rest.slice(0, 5).join(", ")} of the pretrained network. Networks that go on in blocks are language models trained end to end.`;
  throw new UsageError("noPlace", { rest }, message);
}

function parametersOf({ units }: Pick<TrainingMethod, "units">): Map<string, Tensor> {
  return new Map(units.flatMap(({ trainable, frozen }) => [...trainable, ...frozen]));
}

/** [shift, scale, gate] of a norm: its bias, gain − 1, 0. */
function identityModulation(gain: Float32Array, bias: Float32Array | undefined, length: number): Float32Array {
  const modulation = new Float32Array(length);
  if (bias !== undefined) modulation.set(bias);
  modulation.set(
    gain.map((x) => x - 1),
    gain.length,
  );
  return modulation;
}
