import type { AnyTask, Device, ImageDataset, ImageInfo, RunConfig, TrainingMethod } from "diffusion-blocks";
import type { Picture } from "./protocol.ts";

/** One run, open in this worker. */
export interface Run {
  readonly name: string;
  config: RunConfig;
  readonly folder: FileSystemDirectoryHandle;
  readonly task: AnyTask;
  readonly data: unknown;
  readonly info: unknown;
  readonly method: TrainingMethod;
  readonly device: Device;
}

/** A picture of the test part, by its number. */
export function testPicture({ data, info }: Run, index: number): Picture {
  const { channels, height: size } = info as ImageInfo;
  const pixels = channels * size * size;
  return { bytes: ((data as ImageDataset).test.images as Uint8Array).slice(index * pixels, (index + 1) * pixels), channels, size };
}

/** Numbers from −1 to 1 [channels, size, size] as a picture. */
export function pictureOf(values: Float32Array, { channels, height: size }: ImageInfo): Picture {
  return { bytes: Uint8Array.from(values, (x) => Math.min(255, Math.max(0, Math.round(127.5 * (x + 1))))), channels, size };
}
