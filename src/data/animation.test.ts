import { decode, decodeApng } from "fast-png";
import { expect, test } from "vitest";
import { encodeAnimation } from "./animation.ts";

const sheet = { count: 2, channels: 1, height: 3, width: 3, columns: 2, scale: 4, parts: 3, milliseconds: 150 };
const frames = [0, 1, 2].map((part) => ({ images: new Uint8Array(18).fill(80 * part), part }));

test("every frame comes back as it was, with its time", () => {
  const { frames: decoded, numberOfFrames } = decodeApng(encodeAnimation(frames, sheet));
  expect(numberOfFrames).toBe(3);
  for (const [i, { data, delayNumber, delayDenominator }] of decoded.entries()) {
    expect(delayNumber / delayDenominator).toBeCloseTo(0.15, 6);
    const width = 2 * (3 * 4 + 2) + 2;
    expect(data[3 * (3 * width + 3)]).toBe(80 * i); // inside the first image
    const bar = 3 * (16 + 3) * width; // a row of the bar
    const middles = [0, 1, 2].map((field) => data[bar + 3 * Math.floor(2 + ((field + 0.5) * (width - 4)) / 3)]);
    expect(middles).toEqual([0, 1, 2].map((field) => (field === i ? 40 : 205)));
  }
});

test("what knows no animation shows the first frame", () => {
  const { width, height } = decode(encodeAnimation(frames, sheet));
  expect([width, height]).toEqual([30, 24]);
});
