import { expect, test } from "vitest";
import { tinyVit } from "../../test/support/tiny.ts";
import { endToEnd } from "../baselines/index.ts";
import { convert } from "../blocks/index.ts";
import { classNoise, partition } from "../diffusion/index.ts";
import { adamW } from "../optim/index.ts";
import { conv2d, createProgram, grad, input, matmul, mean, parameter, programFlops } from "../tensor/index.ts";
import { planUnits } from "./plan.ts";
import { bestTradeOffs, fitBudget, type MethodOfSize, planReport, type TradeOff, tradeOffs } from "./tradeOff.ts";

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

const settings = { batchSize: 64, optimizer: adamW(), ema: false };

const sizes = { width: 48, mlpWidth: 192 };
const network = (numLayers: number) => endToEnd(tinyVit({ numLayers, ...sizes }));
const wholeOrBlocks: MethodOfSize = (numBlocks, numLayers) =>
  numBlocks === 1
    ? network(numLayers)
    : convert(tinyVit({ numLayers, ...sizes }), { partition: partition({ numBlocks, noise: classNoise }) });

test("more blocks take less memory, checkpointing more operations, a batch in parts or accumulated as many", () => {
  const rows = tradeOffs(4, wholeOrBlocks, settings);
  const row = (wanted: Partial<TradeOff>) =>
    rows.find((one) =>
      Object.entries({ checkpointing: false, accumulate: 1, parts: 1, ...wanted }).every(([name, x]) => one[name as keyof TradeOff] === x),
    )!;
  const whole = row({ numBlocks: 1 });
  expect(rows).toHaveLength(3 * 2 * 3 * 2);
  expect(row({ numBlocks: 2 }).peak).toBeLessThan(whole.peak);
  expect(row({ numBlocks: 4 }).flopsOfBlock).toBeLessThan(0.4 * whole.flops);
  expect(row({ numBlocks: 1, checkpointing: true }).peak).toBeLessThan(whole.peak);
  expect(row({ numBlocks: 1, checkpointing: true }).flops / whole.flops).toBeGreaterThan(1.15);
  expect(row({ numBlocks: 1, checkpointing: true }).flops / whole.flops).toBeLessThan(1.4);
  expect(row({ numBlocks: 1, accumulate: 4 }).flops).toBe(whole.flops);
  expect(row({ numBlocks: 1, accumulate: 4 }).peak).toBeLessThan(whole.peak);
  expect(whole).toMatchObject({ batchSize: 64, peak: planUnits(network(4), settings).peak });
});

test("a budget is met by what is fastest, of equal ways with the fewest blocks; the rows that are shown hold it", () => {
  const rows = tradeOffs(4, wholeOrBlocks, settings);
  expect(fitBudget(rows, Number.POSITIVE_INFINITY)).toBe(rows[0]);
  for (const { peak } of rows) {
    const fit = fitBudget(rows, peak);
    const allowed = rows.filter((row) => row.peak <= peak);
    expect(fit.flops).toBeLessThan(1.002 * Math.min(...allowed.map(({ flops }) => flops)));
    expect(bestTradeOffs(rows).some((row) => row.peak <= peak && row.flops <= fit.flops && row.numBlocks <= fit.numBlocks)).toBe(true);
  }
  expect(() => fitBudget(rows, 1)).toThrow("plan: nothing fits 0 MB; the least is");
});

test.each([{}, { parts: 4 }])("a deep block is read off shallow ones as if it had been traced (%o)", (memory) => {
  const { endToEnd: read, endToEndCheckpointing: again } = planReport({ numLayers: 16, whole: wholeOrBlocks, blocks: wholeOrBlocks }, 1, {
    ...settings,
    ...memory,
  });
  for (const [plan, checkpointing] of [[read, false] as const, [again, true] as const]) {
    const traced = planUnits(network(16), { ...settings, ...memory, checkpointing }).perUnit[0]!;
    for (const name of ["parameters", "activations", "flops", "nodes", "peak"] as const)
      expect(plan[name] / traced[name], name).toBeCloseTo(1, 2);
  }
});
