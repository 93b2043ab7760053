import { type NamedArray, writeSafetensors } from "../../src/formats/index.ts";
import { fold, integer, key, normal } from "../../src/random.ts";
import type { Device } from "../../src/runtime/index.ts";
import { sizeOf } from "../../src/tensor/index.ts";
import { OfficialLayout, type OfficialVit } from "../../src/verify/officialLayout.ts";
import { recompute } from "../../src/verify/recompute.ts";
import { ReferenceFile } from "../../src/verify/reference.ts";

export interface ReferenceSpec {
  readonly config: OfficialVit;
  readonly layerRanges: readonly (readonly [number, number])[];
  readonly batchSize: number;
  /** Noise levels of the trajectory. */
  readonly grid: readonly number[];
}

/** A reference file of any sizes, with random parameters and inputs; its results are this library's own. */
export async function makeReferenceFile(spec: ReferenceSpec, device: Device): Promise<Map<string, NamedArray>> {
  const tensors = new Map<string, NamedArray>();
  const add = (name: string, shape: readonly number[], data: Float64Array): void =>
    void tensors.set(name, { name, dtype: "F64", shape, data });
  const random = (name: string, shape: readonly number[], scale = 1): void => {
    const draw = new Float32Array(sizeOf(shape));
    normal(fold(key("reference"), name), draw);
    add(
      name,
      shape,
      Float64Array.from(draw, (x) => x * scale),
    );
  };
  const { config, batchSize, grid, layerRanges } = spec;
  const { channels, imageSize, width, classes } = config;
  for (const [name, shape] of new OfficialLayout(config, layerRanges).shapes) random(`param.${name}`, shape, 0.3);
  random("in.pixels", [batchSize, channels, imageSize, imageSize]);
  add(
    "in.labels",
    [batchSize],
    Float64Array.from({ length: batchSize }, (_, i) => integer(fold(key("label"), i), classes)),
  );
  random("in.epsilon", [batchSize, width]);
  random("in.z0", [batchSize, width]);
  add("in.samplerSigmas", [grid.length], Float64Array.from(grid));
  for (const [b, [first, end]] of layerRanges.entries()) {
    add(
      `in.sigma.${b}`,
      [batchSize],
      Float64Array.from({ length: batchSize }, (_, i) => 2 ** (3 - 4 * b - i / batchSize)),
    );
    for (let layer = first; layer < end; layer++)
      add(`grad.${b}.layers.${layer}.q.weight`, [width, width], new Float64Array(width * width));
  }
  for (const { name, shape, data } of await recompute(new ReferenceFile(referenceBytes(tensors, config)), device))
    add(name, shape, Float64Array.from(data));
  return tensors;
}

export function referenceBytes(
  tensors: ReadonlyMap<string, NamedArray>,
  config: OfficialVit,
  architecture = "vit-diffusionblocks",
): Uint8Array {
  return writeSafetensors(tensors.values(), { architecture, config: JSON.stringify(config) });
}
