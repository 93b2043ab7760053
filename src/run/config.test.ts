import fc from "fast-check";
import { expect, test } from "vitest";
import { configHash, differingKeys } from "./config.ts";

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
