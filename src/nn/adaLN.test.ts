import fc from "fast-check";
import { expect, test } from "vitest";
import { device } from "../../test/support/devices.ts";
import { gradientError, gradientKey, gradientResult } from "../../test/support/gradCheck.ts";
import { fold } from "../random.ts";
import { add, silu, type Tensor } from "../tensor/index.ts";
import { gatedSum } from "./adaLN.ts";

test("a gated sum that does not keep its branch has the gradients of central differences", async () => {
  const cpu = await device("cpu");
  const size = fc.integer({ min: 1, max: 5 });
  await fc.assert(
    fc.asyncProperty(size, size, size, fc.nat(1000), async (batch, tokens, width, seed) => {
      const state = [batch, tokens, width];
      const f = (h: Tensor, branch: Tensor, raw: Tensor): Tensor => gatedSum(h, branch, add(silu(raw), 1));
      const result = await gradientResult(cpu, { shapes: [state, state, [batch, 1, width]], f }, fold(gradientKey, seed));
      expect(gradientError(result)).toBeLessThan(1e-2);
    }),
    { numRuns: 12, seed: 7 },
  );
});
