import type { ImageSplit } from "./dataset.ts";

/**
 * Mean and standard deviation of the pixels in [0, 1], or of the latent numbers, for each channel. A constant channel
 * gets 1 as its deviation.
 */
export function channelStatistics({ images, count, channels, height, width }: ImageSplit): { mean: number[]; std: number[] } {
  const plane = height * width;
  const sums = new Float64Array(channels);
  const squares = new Float64Array(channels);
  for (let item = 0, at = 0; item < count; item++) {
    for (let channel = 0; channel < channels; channel++) {
      let [sum, square] = [0, 0];
      for (const end = at + plane; at < end; at++) {
        const value = images[at]!;
        sum += value;
        square += value * value;
      }
      sums[channel]! += sum;
      squares[channel]! += square;
    }
  }
  const pixels = count * plane;
  const unit = images instanceof Float32Array ? 1 : 255;
  const mean = [...sums].map((sum) => sum / pixels / unit);
  const std = [...squares].map((square, channel) => Math.sqrt(Math.max(0, square / pixels / unit ** 2 - mean[channel]! ** 2)) || 1);
  return { mean, std };
}
