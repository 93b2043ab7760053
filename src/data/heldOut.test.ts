import { expect, test } from "vitest";
import type { ImageDataset } from "./dataset.ts";
import { heldOut, imageValidation } from "./heldOut.ts";

test("of each class every so many an item is held out", () => {
  expect(heldOut(["a", "b", "a", "a", "b", "a"], 0.5)).toEqual([false, false, true, false, true, true]);
});

test("a validation part is cut from the training images, and the test part is not touched", () => {
  const one = { channels: 1, height: 1, width: 2 };
  const data: ImageDataset = {
    name: "digits",
    classNames: ["0", "1"],
    numClasses: 2,
    mean: [0],
    std: [1],
    train: { ...one, count: 4, images: Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7), labels: Int32Array.of(0, 1, 0, 1) },
    get test(): never {
      throw new Error("the test part was read");
    },
  };
  const { train, test: held, ...rest } = imageValidation(data, 0.5);
  expect(rest).toEqual({ name: "digits", classNames: ["0", "1"], numClasses: 2, mean: [0], std: [1] });
  expect(train).toEqual({ ...one, count: 2, images: Uint8Array.of(0, 1, 2, 3), labels: Int32Array.of(0, 1) });
  expect(held).toEqual({ ...one, count: 2, images: Uint8Array.of(4, 5, 6, 7), labels: Int32Array.of(0, 1) });
});
