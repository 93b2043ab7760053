import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FormatError, UsageError } from "../errors.ts";
import { encodeModel } from "../onnx/index.ts";
import { type Device, openDevice } from "../runtime/index.ts";
import { createProgram, input, reduceMean, reduceSum, type Tensor } from "../tensor/index.ts";
import { openFeatures, placeImage } from "./features.ts";

let device: Device;
beforeAll(async () => {
  device = await openDevice("cpu", { threads: 1 });
});
afterAll(() => device.dispose());

const model = (output: (images: Tensor) => Tensor, shape = [2, 3, 4, 4], metadata = {}): Uint8Array =>
  encodeModel(createProgram({ features: output(input("images", shape)) }), { metadata }).bytes;
const channelMeans = (images: Tensor): Tensor => reduceMean(images, [2, 3]);

describe("openFeatures", () => {
  test("extracts every image once, in order, whatever the batch", async () => {
    await using network = await openFeatures(device, model(channelMeans), "some/means.onnx");
    expect([network.name, network.width, network.channels, network.size]).toEqual(["means", 3, 3, 4]);
    const images = Float32Array.from({ length: 5 * 48 }, (_, i) => Math.floor(i / 16));
    const rows: number[][] = [];
    await network.extract(images, { count: 5, channels: 3, size: 4 }, (row) => void rows.push([...row]));
    expect(rows).toEqual([0, 1, 2, 3, 4].map((n) => [3 * n, 3 * n + 1, 3 * n + 2]));
  });

  test("grey images fill all channels, and other sizes are brought to the network's", async () => {
    await using network = await openFeatures(device, model(channelMeans, [1, 3, 4, 4], { features: "told" }), "x.onnx");
    expect(network.name).toBe("told");
    const rows: number[][] = [];
    await network.extract(new Float32Array(2 * 64).fill(0.25), { count: 2, channels: 1, size: 8 }, (row) => void rows.push([...row]));
    expect(rows).toEqual([
      [0.25, 0.25, 0.25],
      [0.25, 0.25, 0.25],
    ]);
  });

  test.each<[string, () => Uint8Array, typeof UsageError | typeof FormatError]>([
    ["an output that is no vector", () => model((images) => reduceSum(images, [3])), UsageError],
    ["an input that is no image", () => model((x) => reduceMean(x, [1], true), [2, 5]), UsageError],
    ["images that are not square", () => model(channelMeans, [2, 3, 4, 5]), UsageError],
    ["a damaged file", () => model(channelMeans).slice(0, 60), FormatError],
    ["another file", () => new TextEncoder().encode("not a model"), FormatError],
  ])("%s is refused by name", async (_, bytes, kind) => {
    const refused = openFeatures(device, bytes(), "given.onnx");
    await expect(refused).rejects.toThrow(kind);
    await expect(refused).rejects.toThrow(/given\.onnx/);
  });
});

describe("placeImage", () => {
  test("of the same size copies; twice the size interpolates between pixel centres", () => {
    const image = Float32Array.of(0, 1, 2, 3);
    const same = new Float32Array(4);
    placeImage(image, { channels: 1, size: 2 }, same, { channels: 1, size: 2 });
    expect(same).toEqual(image);
    const row = new Float32Array(16);
    placeImage(image, { channels: 1, size: 2 }, row, { channels: 1, size: 4 });
    expect([...row.subarray(0, 4)]).toEqual([0, 0.25, 0.75, 1]);
    expect([row[0], row[4], row[8], row[12]]).toEqual([0, 0.5, 1.5, 2]);
  });
});
