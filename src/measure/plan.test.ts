import { expect, test } from "vitest";
import { tinyVit } from "../../test/support/tiny.ts";
import { endToEnd } from "../baselines/index.ts";
import { adamW } from "../optim/index.ts";
import { conv2d, createProgram, grad, input, matmul, mean, parameter, programFlops } from "../tensor/index.ts";
import { planUnits, tradeOffs } from "./plan.ts";

const zeros = { name: "zeros", fill: () => {} };

test("operations are 2·m·k·n of products, thrice with the backward pass, and those of convolutions", () => {
  const w = parameter([6, 7], zeros);
  const y = matmul(input("x", [3, 5, 6]), w);
  expect(programFlops(createProgram({ y }))).toBe(2 * 3 * 5 * 6 * 7);
  const x = parameter([5, 6], zeros);
  const loss = mean(matmul(x, w));
  const [dx, dw] = grad(loss, [x, w]);
  expect(programFlops(createProgram({ loss, dx: dx!, dw: dw! }))).toBe(3 * 2 * 5 * 6 * 7);
  const image = parameter([2, 3, 8, 8], zeros);
  const kernel = parameter([4, 3, 3, 3], zeros);
  const pooled = mean(conv2d(image, kernel, { padding: 1 }));
  const forward = 2 * 2 * 4 * 64 * 27;
  expect(programFlops(createProgram({ pooled }))).toBe(forward);
  const [dImage] = grad(pooled, [image]);
  expect(programFlops(createProgram({ pooled, dImage: dImage! }))).toBe(2 * forward);
});

test("more blocks take less memory, checkpointing more operations, a batch in parts as many", () => {
  const method = (numLayers: number) => endToEnd(tinyVit({ numLayers, width: 48, mlpWidth: 192 }));
  const options = { batchSize: 64, optimizer: adamW(), ema: false };
  const rows = tradeOffs(4, (numBlocks) => method(4 / numBlocks), options); // one network of so many layers stands for each block
  const row = (numBlocks: number, checkpointing: boolean, accumulate: number) =>
    rows.find((one) => one.numBlocks === numBlocks && one.checkpointing === checkpointing && one.accumulate === accumulate)!;
  expect(rows).toHaveLength(3 * 2 * 2);
  expect(row(2, false, 1).peak).toBeLessThan(row(1, false, 1).peak);
  expect(row(1, true, 1).peak).toBeLessThan(row(1, false, 1).peak);
  expect(row(1, true, 1).flops / row(1, false, 1).flops).toBeGreaterThan(1.15);
  expect(row(1, true, 1).flops / row(1, false, 1).flops).toBeLessThan(1.4);
  expect(row(1, false, 4).flops).toBe(row(1, false, 1).flops);
  expect(row(1, false, 4).peak).toBeLessThan(row(1, false, 1).peak);
  expect(row(1, false, 1)).toMatchObject({ batchSize: 64, peak: planUnits(method(4), { ...options, checkpointing: false }).peak });
});
