import { expect, test } from "vitest";
import type { ImageDataset, ImageSplit } from "./dataset.ts";
import { generateEmbedded } from "./embedded.ts";

test("the same seed gives the same pictures; a picture depends on seed, part and number alone", () => {
  const short = generateEmbedded({ seed: 3, train: 30, test: 10 });
  const long = generateEmbedded({ seed: 3, train: 50, test: 20 });
  expect(long.train.images.subarray(0, short.train.images.length)).toEqual(short.train.images);
  expect(long.test.images.subarray(0, short.test.images.length)).toEqual(short.test.images);
  expect(short.test.images).not.toEqual(short.train.images.subarray(0, short.test.images.length));
  expect(generateEmbedded({ seed: 4, train: 30, test: 10 }).train.images).not.toEqual(short.train.images);
});

test("every class has as many pictures as the others, and stroke and background can be told apart in each", () => {
  const { train, numClasses, classNames } = generateEmbedded({ train: 200, test: 10 });
  expect(new Set(classNames).size).toBe(numClasses);
  for (let k = 0; k < numClasses; k++) expect(train.labels.filter((label) => label === k)).toHaveLength(20);
  const pixels = train.images.length / train.count;
  for (let item = 0; item < train.count; item++) {
    const picture = train.images.subarray(item * pixels, (item + 1) * pixels).toSorted();
    expect(picture[Math.floor(0.98 * pixels)]! - picture[Math.floor(0.02 * pixels)]!).toBeGreaterThan(40);
  }
});

test("a linear classifier of the pixels learns them by heart in part but does not solve them", () => {
  const dataset = generateEmbedded({ train: 2000, test: 500 });
  const { train, test: unseen } = softmaxRegression(dataset, { epochs: 5, learningRate: 0.01, batchSize: 50 });
  expect(train).toBeGreaterThan(0.2);
  expect(unseen).toBeGreaterThan(0.1);
  expect(unseen).toBeLessThan(0.7);
});

/**
 * Multinomial logistic regression on normalised pixels, by gradient descent with momentum 0.9 and a falling learning
 * rate; accuracies.
 */
function softmaxRegression(
  { train, test, numClasses, mean, std }: ImageDataset,
  { epochs, learningRate, batchSize }: { epochs: number; learningRate: number; batchSize: number },
): { train: number; test: number } {
  const features = train.images.length / train.count;
  const inputs = ({ images, height, width, channels }: ImageSplit): Float32Array =>
    Float32Array.from(images, (byte, i) => {
      const channel = Math.floor(i / (height * width)) % channels;
      return (byte / 255 - mean[channel]!) / std[channel]!;
    });
  const x = inputs(train);
  const weights = new Float32Array(numClasses * features);
  const velocity = new Float32Array(numClasses * features);
  const gradient = new Float32Array(numClasses * features);
  const scores = (of: Float32Array, item: number): number[] =>
    Array.from({ length: numClasses }, (_, k) => {
      let sum = 0;
      for (let f = 0; f < features; f++) sum += weights[k * features + f]! * of[item * features + f]!;
      return sum;
    });
  const steps = Math.floor(train.count / batchSize);
  for (let step = 0; step < epochs * steps; step++) {
    gradient.fill(0);
    const first = (step % steps) * batchSize;
    for (let item = first; item < first + batchSize; item++) {
      const logits = scores(x, item);
      const highest = Math.max(...logits);
      const exponentials = logits.map((logit) => Math.exp(logit - highest));
      const total = exponentials.reduce((sum, value) => sum + value, 0);
      for (let k = 0; k < numClasses; k++) {
        const error = (exponentials[k]! / total - (train.labels[item] === k ? 1 : 0)) / batchSize;
        for (let f = 0; f < features; f++) gradient[k * features + f]! += error * x[item * features + f]!;
      }
    }
    const rate = learningRate * (1 - step / (epochs * steps));
    for (let i = 0; i < weights.length; i++) {
      velocity[i] = 0.9 * velocity[i]! + gradient[i]!;
      weights[i]! -= rate * velocity[i]!;
    }
  }
  const accuracy = (of: Float32Array, { labels, count }: ImageSplit): number => {
    let hits = 0;
    for (let item = 0; item < count; item++) {
      const logits = scores(of, item);
      if (logits.indexOf(Math.max(...logits)) === labels[item]) hits++;
    }
    return hits / count;
  };
  return { train: accuracy(x, train), test: accuracy(inputs(test), test) };
}
