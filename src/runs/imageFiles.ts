import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeAnimation, encodePngGrid, imageBytes } from "../data/index.ts";
import { UsageError } from "../errors.ts";
import { writeSafetensors } from "../formats/index.ts";
import type { SampledImages, SampleProgress } from "../inference/index.ts";

/** The size of all images of a run. */
export interface SampleShape {
  readonly channels: number;
  readonly size: number;
  readonly numBlocks: number;
  /** Latent images are given as their encoder's numbers. */
  readonly isLatent: boolean;
}

/** Where drawn images go: hand its functions to `sampleRun`, then finish it. */
export interface ImageWriter {
  start(shape: SampleShape): void | Promise<void>;
  add(images: SampledImages): Promise<void>;
  /** For files that show the way of the first images. */
  step?(progress: SampleProgress): void;
  finish(): Promise<void>;
}

/** Images that the animation shows, at most. */
const animated = 16;

/**
 * By the ending: `.png` is a grid; `.apng` the way of the first images from noise, with the block at work marked
 * below; `.safetensors` the numbers and labels; a folder (an ending of "/") takes a PNG for each image as it is
 * finished, so that any number fits.
 *
 * @throws {UsageError} for another ending.
 */
export function imageWriter(out: string): ImageWriter {
  const writer = writerFor(out);
  return {
    ...writer,
    start: (shape) => {
      if (!shape.isLatent || out.endsWith(".safetensors")) return writer.start(shape);
      const message = `--out ${out}: these are latent images, which only their decoder can show. Give a file that ends in .safetensors.`;
      throw new UsageError("latentImages", { out }, message);
    },
  };
}

function writerFor(out: string): ImageWriter {
  if (out.endsWith("/")) return folderWriter(out);
  if (out.endsWith(".apng")) return pathWriter(out);
  if (/\.(png|safetensors)$/.test(out)) return wholeWriter(out);
  throw new UsageError(
    "imageFile",
    { out },
    `--out ${out}: expected is a file that ends in .png, .apng or .safetensors, or a folder that ends in /.`,
  );
}

function gridOf(images: Float32Array, count: number, { channels, size }: Pick<SampleShape, "channels" | "size">): Uint8Array {
  const sheet = { count, channels, height: size, width: size, columns: Math.ceil(Math.sqrt(count)), scale: size < 64 ? 2 : 1 };
  return encodePngGrid(imageBytes(images), sheet);
}

function folderWriter(folder: string): ImageWriter {
  return {
    start: async () => void (await mkdir(folder, { recursive: true })),
    add: async ({ first, images, labels, count, channels, size }) => {
      const bytes = imageBytes(images);
      const pixels = channels * size * size;
      for (let i = 0; i < count; i++) {
        const sheet = { count: 1, channels, height: size, width: size, columns: 1, scale: 1, gap: 0 };
        const name = `${String(first + i).padStart(6, "0")}-class-${labels[i]}.png`;
        await writeFile(join(folder, name), encodePngGrid(bytes.subarray(i * pixels, (i + 1) * pixels), sheet));
      }
    },
    finish: async () => {},
  };
}

function wholeWriter(out: string): ImageWriter {
  const parts: SampledImages[] = [];
  return {
    start: () => {},
    add: async (images) => void parts.push(images),
    finish: async () => {
      if (parts.length === 0) return;
      const { channels, size } = parts[0]!;
      const images = Float32Array.from(parts.flatMap((part) => [...part.images]));
      const labels = Int32Array.from(parts.flatMap((part) => [...part.labels]));
      const count = labels.length;
      const tensors = [
        { name: "images", dtype: "F32", shape: [count, channels, size, size], data: images },
        { name: "labels", dtype: "I32", shape: [count], data: labels },
      ] as const;
      await writeFile(out, out.endsWith(".png") ? gridOf(images, count, { channels, size }) : writeSafetensors(tensors));
    },
  };
}

/** One frame for each step of the first trajectory: the denoised estimate of the active block. */
function pathWriter(out: string): ImageWriter {
  const frames: { readonly denoised: Float32Array; readonly block: number }[] = [];
  let shape: SampleShape | undefined;
  return {
    start: (told) => {
      shape = told;
    },
    step: ({ done, denoised, block }) => {
      const pixels = shape!.channels * shape!.size ** 2;
      if (done === 0) frames.push({ denoised: denoised.slice(0, animated * pixels), block });
    },
    add: async () => {},
    finish: async () => {
      if (frames.length === 0) return;
      const { channels, size, numBlocks } = shape!;
      const count = frames[0]!.denoised.length / (channels * size * size);
      const sheet = { count, channels, height: size, width: size, columns: Math.ceil(Math.sqrt(count)), scale: size < 64 ? 2 : 1 };
      await writeFile(
        out,
        encodeAnimation(
          frames.map(({ denoised, block }) => ({ images: imageBytes(denoised), part: block })),
          { ...sheet, parts: numBlocks, milliseconds: 150 },
        ),
      );
    },
  };
}
