import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { UsageError } from "../errors.ts";
import { configHash, differingKeys, parseConfig } from "./config.ts";

const optimizer = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("adamW"), beta2: z.number().default(0.999) }),
  z.object({ kind: z.literal("sgd"), momentum: z.number() }),
]);
const schema = z.object({
  blocks: z.int().min(1),
  device: z.enum(["cpu", "webgpu"]).default("cpu"),
  model: z.strictObject({ numLayers: z.int(), hiddenSize: z.int().optional() }),
  optimizer: optimizer.optional(),
  labels: z.record(z.string(), z.number()).optional(),
  stages: z.array(z.object({ steps: z.int() })).optional(),
});
const good = { blocks: 3, model: { numLayers: 12 } };

function faultsOf(change: object): string {
  try {
    parseConfig(schema, { ...good, ...change }, "config.json");
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as UsageError).message;
  }
  return "accepted";
}

describe("a configuration", () => {
  test("that fits is returned with its defaults", () => {
    expect(parseConfig(schema, { ...good, labels: { any: 1 }, optimizer: { kind: "sgd", momentum: 0.9 } }, "config.json")).toMatchObject({
      blocks: 3,
      device: "cpu",
    });
  });

  test.each<[object, string]>([
    [{ blokcs: 4 }, 'config.json: unknown key "blokcs". Did you mean "blocks"? Allowed: blocks, device, model, optimizer, labels, stages.'],
    [{ model: { numLayers: 1, depth: 2 } }, 'config.json: unknown key "model.depth". Allowed: numLayers, hiddenSize.'],
    [{ optimizer: { kind: "sgd", momentum: 1, beta2: 1 } }, 'config.json: unknown key "optimizer.beta2". Allowed: kind, momentum.'],
    [{ stages: [{ steps: 1 }, { steps: 2, rate: 1 }] }, 'config.json: unknown key "stages.1.rate". Allowed: steps.'],
    [{ device: "gpu" }, 'config.json: device: "gpu" is not one of cpu, webgpu'],
    [{ blocks: 0 }, "config.json: blocks: 0 does not fit: too small: expected number to be >=1"],
    [{ model: {} }, "config.json: model.numLayers: missing (expected number, received undefined)"],
    [{ optimizer: { kind: "adam" } }, "config.json: optimizer.kind:"],
  ])("%j is refused, naming the key and what is allowed", (change, message) => {
    expect(faultsOf(change)).toContain(message);
  });

  test("with several faults names them all", () => {
    expect(faultsOf({ device: "gpu", blocks: "3", foo: 1 }).split("\n")).toHaveLength(4);
  });
});

test("the hash of a configuration depends on its content, not on the order of its keys", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (config) => {
      const reversed = Object.fromEntries(Object.entries(config).reverse());
      expect(configHash(reversed)).toBe(configHash(config));
      expect(configHash({ ...config, seed: "another" })).not.toBe(configHash({ ...config, seed: "one" }));
    }),
  );
});

test("differing keys are named by their paths", () => {
  expect(differingKeys({ a: 1, b: { c: 1, d: [1] }, e: 0 }, { a: 1, b: { c: 2, d: [1] }, f: 0 })).toEqual(["b.c", "e", "f"]);
});
