import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { evaluate } from "../../test/support/evaluate.ts";
import { endToEnd } from "../baselines/index.ts";
import { UsageError } from "../errors.ts";
import { adaLN, type ClassifierNetwork, namedParameters, patchEmbedding, plainConditioning, plainContext } from "../nn/index.ts";
import { fold, key, normal } from "../random.ts";
import { type Device, openDevice } from "../runtime/index.ts";
import { input, sizeOf, type Tensor } from "../tensor/index.ts";
import { type VitOptions, vit } from "./vit.ts";
import { vitOfficialCifar100, vitOfficialTinyImageNet } from "./vitPresets.ts";

const small: VitOptions = { imageSize: 4, patchSize: 2, channels: 1, width: 8, numLayers: 2, numHeads: 2, numClasses: 3 };
const count = (parameters: Iterable<Tensor>): number => [...parameters].reduce((sum, { shape }) => sum + sizeOf(shape), 0);
const parametersOf = ({ stem, layers, head }: ClassifierNetwork): Map<string, Tensor> => namedParameters({ parts: { stem, layers, head } });
const noisy = (width: number): ReturnType<typeof adaLN> => adaLN({ condWidth: 2, targetWidth: width, epsilon: 1e-6 });

let device: Device;
beforeAll(async () => {
  device = await openDevice("cpu", { threads: 1 });
});
afterAll(() => device.dispose());

describe("parameters", () => {
  // From the shapes of the official baseline's modules: class token, 65 positions, no modulation.
  test("the official baseline for CIFAR-100 has 10,302,180", () => {
    expect(count(endToEnd(vit(vitOfficialCifar100)).units[0]!.trainable.values())).toBe(10_302_180);
  });

  test("a layer has 66,048 in its attention and 789,632 in its MLP", () => {
    const layer = namedParameters(vit(vitOfficialCifar100).build(plainConditioning()).layers[0]!);
    const under = (part: string): number => count([...layer].filter(([path]) => path.startsWith(part)).map(([, tensor]) => tensor));
    expect([under("attention"), under("mlp")]).toEqual([66_048, 789_632]);
  });

  test("the network for Tiny-ImageNet has 256 patches and an MLP of four times its width", () => {
    const architecture = vit(vitOfficialTinyImageNet);
    const parameters = parametersOf(architecture.build(plainConditioning()));
    expect(parameters.get("stem.positions")!.shape).toEqual([1, 257, 768]);
    expect(parameters.get("layers.11.mlp.up.weight")!.shape).toEqual([768, 3072]);
    expect(architecture.inputType(2).shape).toEqual([2, 3, 64, 64]);
  });

  test("every build has parameters of its own", () => {
    const architecture = vit(small);
    const [one, other] = [parametersOf(architecture.build(plainConditioning())), parametersOf(architecture.build(plainConditioning()))];
    expect([...one.keys()]).toEqual([...other.keys()]);
    for (const [path, tensor] of one) expect(other.get(path)).not.toBe(tensor);
  });
});

describe("tokens", () => {
  // 4 patches, a class token, and with noise conditioning the noisy label: beside the class token or in its place.
  test.each([
    ["plain", "separate", plainConditioning(), 5],
    ["plain", "class", plainConditioning(), 5],
    ["noisy", "separate", noisy(8), 6],
    ["noisy", "class", noisy(8), 5],
  ] as const)("%s, label token %s", (_, labelToken, conditioning, tokens) => {
    const { stem } = vit({ ...small, labelToken }).build(conditioning);
    const target = conditioning.targetWidth === undefined ? undefined : input("z", [7, 8]);
    expect(stem(input("images", [7, 1, 4, 4]), target, plainContext).shape).toEqual([7, tokens, 8]);
  });
});

test("a patch is one corner of the image, its values in the order of a convolution's kernel", async () => {
  const embed = patchEmbedding({ channels: 2, imageSize: 4, patchSize: 2, width: 8 });
  const images = Float32Array.from({ length: 32 }, (_, i) => i);
  const identity = Float32Array.from({ length: 64 }, (_, i) => (i % 9 === 0 ? 1 : 0));
  const names = new Map([...namedParameters(embed)].map(([path, tensor]) => [tensor, path]));
  const { tokens } = await evaluate(
    device,
    { tokens: embed(input("images", [1, 2, 4, 4])) },
    { images, "project.weight": identity, "project.bias": new Float32Array(8) },
    names,
  );
  expect([...tokens.subarray(0, 8)]).toEqual([0, 1, 4, 5, 16, 17, 20, 21]); // top left: both channels, row by row
  expect([...tokens.subarray(8, 16)]).toEqual([2, 3, 6, 7, 18, 19, 22, 23]); // top right
  expect([...tokens.subarray(16, 24)]).toEqual([8, 9, 12, 13, 24, 25, 28, 29]); // bottom left
});

describe("with random parameters", () => {
  const network = vit(small).build(plainConditioning());
  const parameters = parametersOf(network);
  const names = new Map([...parameters].map(([path, tensor]) => [tensor, path]));
  const values = Object.fromEntries(
    [...parameters].map(([path, { shape }]) => {
      const draw = new Float32Array(sizeOf(shape));
      normal(fold(key("vit"), path), draw);
      return [path, draw.map((x) => 0.5 * x)];
    }),
  );
  const images = new Float32Array(2 * 16);
  normal(key("images"), images);

  async function logitsOf(feeds: Readonly<Record<string, Float32Array>>): Promise<Float32Array> {
    const state = network.layers.reduce(
      (h, layer) => layer(h, plainContext),
      network.stem(input("images", [2, 1, 4, 4]), undefined, plainContext),
    );
    return (await evaluate(device, { logits: network.head(state, plainContext) }, { ...values, images, ...feeds }, names)).logits;
  }

  /** The images and the positions with the first two patches exchanged. */
  const swappedImages = Float32Array.from(images, (_, i) => images[i % 16 < 8 ? i ^ 2 : i]!);
  const swappedPositions = Float32Array.from(values["stem.positions"]!, (_, i, p = values["stem.positions"]!) =>
    i >= 8 && i < 16 ? p[i + 8]! : i >= 16 && i < 24 ? p[i - 8]! : p[i]!,
  );

  test("patches have no order but that of their positions", async () => {
    const logits = await logitsOf({});
    const both = await logitsOf({ images: swappedImages, "stem.positions": swappedPositions });
    const imagesOnly = await logitsOf({ images: swappedImages });
    const apart = (a: Float32Array): number => Math.max(...a.map((x, i) => Math.abs(x - logits[i]!)));
    expect(apart(both)).toBeLessThan(1e-5);
    expect(apart(imagesOnly)).toBeGreaterThan(1e-2);
  });

  test("samples of a batch do not see each other", async () => {
    const changed = images.slice();
    changed.fill(1, 16);
    const [a, b] = [await logitsOf({}), await logitsOf({ images: changed })];
    expect(b.subarray(0, 3)).toEqual(a.subarray(0, 3));
    expect(b.subarray(3)).not.toEqual(a.subarray(3));
  });
});

test.each([{ imageSize: 5 }, { numHeads: 3 }])("%j does not fit and is refused", (wrong) => {
  expect(() => vit({ ...small, ...wrong })).toThrow(UsageError);
});
