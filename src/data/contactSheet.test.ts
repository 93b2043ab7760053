import { decode } from "fast-png";
import { expect, test } from "vitest";
import { encodePngGrid } from "./contactSheet.ts";

test("images stand side by side, row by row, enlarged, on white", () => {
  const images = Uint8Array.of(10, 20, 30, 40, 50, 60, 70, 80, 90); // three images of one pixel in red, green, blue
  const { width, height, data } = decode(encodePngGrid(images, { count: 3, channels: 3, height: 1, width: 1, columns: 2, scale: 3 }));
  expect([width, height]).toEqual([12, 12]); // 2 images of 3 pixels, 3 gaps of 2
  const at = (x: number, y: number): number[] => [...data.subarray(3 * (y * width + x), 3 * (y * width + x) + 3)];
  expect([at(2, 2), at(4, 4), at(7, 2), at(2, 7), at(9, 9)]).toEqual([
    [10, 20, 30],
    [10, 20, 30],
    [40, 50, 60],
    [70, 80, 90],
    [255, 255, 255],
  ]);
  expect(at(5, 2)).toEqual([255, 255, 255]);
});

test("grey images stay grey", () => {
  const { data } = decode(encodePngGrid(Uint8Array.of(77), { count: 1, channels: 1, height: 1, width: 1, columns: 1, scale: 1 }));
  expect([...data.subarray(3 * 12, 3 * 12 + 3)]).toEqual([77, 77, 77]);
});
