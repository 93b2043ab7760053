import { describe, expect, test } from "vitest";
import { z } from "zod";
import { UsageError } from "../errors.ts";
import { checkOptions } from "./check.ts";

const schema = z.object({
  blocks: z.int().min(1),
  device: z.enum(["cpu", "webgpu"]).default("cpu"),
  model: z.strictObject({ numLayers: z.int(), hiddenSize: z.int().optional() }),
  sampling: z.strictObject({ steps: z.int().default(3) }).prefault({}),
});
const good = { blocks: 3, model: { numLayers: 12 } };

function faultsOf(change: object): string {
  try {
    checkOptions(schema, { ...good, ...change }, "config.json");
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as UsageError).message;
  }
  return "accepted";
}

describe("a configuration", () => {
  test("that fits is returned with its defaults", () => {
    expect(checkOptions(schema, { ...good, sampling: {} }, "config.json")).toMatchObject({
      blocks: 3,
      device: "cpu",
      sampling: { steps: 3 },
    });
  });

  test.each<[object, string]>([
    [{ blokcs: 4 }, 'config.json: there is no "blokcs". Did you mean "blocks"? Known: blocks, device, model, sampling.'],
    [{ model: { numLayers: 1, depth: 2 } }, 'config.json: there is no "model.depth". Known: numLayers, hiddenSize.'],
    [{ sampling: { step: 1 } }, 'config.json: there is no "sampling.step". Did you mean "steps"? Known: steps.'],
    [{ device: "gpu" }, 'config.json: device: "gpu" is not one of cpu, webgpu'],
    [{ blocks: 0 }, "config.json: blocks: 0 does not fit: too small: expected number to be >=1"],
    [{ model: {} }, "config.json: model.numLayers: missing (expected number, received undefined)"],
  ])("%j is refused, naming the key and what is allowed", (change, message) => {
    expect(faultsOf(change)).toContain(message);
  });

  test("with several faults names them all", () => {
    expect(faultsOf({ device: "gpu", blocks: "3", foo: 1 }).split("\n")).toHaveLength(4);
  });
});
