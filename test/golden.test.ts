import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FormatError } from "../src/errors.ts";
import type { NamedArray } from "../src/formats/index.ts";
import { type Device, openDevice } from "../src/runtime/index.ts";
import { referenceTolerance, verifyReferenceFile } from "../src/verify/index.ts";
import { makeReferenceFile, type ReferenceSpec, referenceBytes } from "./support/referenceFile.ts";

const path = resolve(process.env.DBLOCKS_GOLDEN ?? "../shared/golden", "vit_dblock.safetensors");

let device: Device;
beforeAll(async () => {
  device = await openDevice("cpu", { threads: 1 });
});
afterAll(() => device.dispose());

// Weights, inputs and results of an implementation in NumPy and PyTorch, float64.
describe.skipIf(!existsSync(path))(`${path} (skipped where the file is missing)`, () => {
  test("logits, losses, gradients and a walk are those of the reference", async () => {
    const { rows, worst } = await verifyReferenceFile(readFileSync(path), device);
    expect(worst.relativeError, `${worst.name}`).toBeLessThan(referenceTolerance);
    expect(worst.relativeError).toBeGreaterThan(0);
    const names = new Set(rows.map(({ name }) => name));
    for (const b of [0, 1, 2]) {
      for (const part of ["out.logits", "out.crossEntropy", "out.loss", "grad"]) {
        const expected =
          part === "grad"
            ? [`grad.${b}.patch.weight`, `grad.${b}.label.weight`, `grad.${b}.layers.${2 * b + 1}.ada.weight`]
            : [`${part}.${b}`];
        for (const name of expected) expect(names).toContain(name);
      }
      expect(rows.filter(({ block, kind }) => block === b && kind === "gradient")).toHaveLength(50);
    }
    expect(rows.filter(({ block }) => block === undefined).map(({ name }) => name)).toEqual(["out.samplerState", "out.samplerLogits"]);
  });
});

const config = {
  imageSize: 6,
  patchSize: 2,
  channels: 1,
  width: 6,
  heads: 3,
  layers: 4,
  mlpWidth: 10,
  condWidth: 5,
  classes: 7,
  blocks: 2,
  sigmaData: 0.5,
  layerNormEps: 1e-6,
} as const;
const equalShares: ReferenceSpec = {
  config,
  batchSize: 3,
  grid: [80, 1, 0.1, 0.01],
  layerRanges: [
    [0, 2],
    [2, 4],
  ],
};
const oneBlock: ReferenceSpec = {
  config: { ...config, blocks: 1, heads: 1, channels: 3, sigmaData: 0.2 },
  batchSize: 1,
  grid: [80],
  layerRanges: [[0, 4]],
};
const unequalShares: ReferenceSpec = {
  config: { ...config, blocks: 3, patchSize: 3, classes: 12 },
  batchSize: 2,
  grid: [80, 0.2],
  layerRanges: [
    [0, 2],
    [2, 3],
    [3, 4],
  ],
};

describe("a reference file", () => {
  let made: ReadonlyMap<string, NamedArray>;
  beforeAll(async () => {
    made = await makeReferenceFile(equalShares, device);
  });

  test.each([
    ["two blocks", equalShares],
    ["one block", oneBlock],
    ["blocks of unequal size", unequalShares],
  ])("of other sizes is recomputed: %s", async (_, spec) => {
    const tensors = await makeReferenceFile(spec, device);
    const { rows, worst } = await verifyReferenceFile(referenceBytes(tensors, spec.config), device);
    expect(worst.relativeError).toBe(0);
    expect(rows.length).toBe([...tensors.keys()].filter((name) => /^(out|grad)\./.test(name)).length);
    expect(rows.every(({ kind, name }) => (kind === "gradient") === name.startsWith("grad."))).toBe(true);
  });

  test("is read alike wherever its bytes lie in memory, from a Node Buffer too", async () => {
    const unaligned = Buffer.concat([Buffer.of(0), referenceBytes(made, config)]).subarray(1);
    expect((await verifyReferenceFile(unaligned, device)).worst.relativeError).toBe(0);
  });

  test.each([
    "pos",
    "patch.weight",
    "label.weight",
    "t0.weight",
    "layers.0.k.weight",
    "layers.3.ada.weight",
    "layers.2.n2.bias",
    "adaOut.bias",
    "head.weight",
  ])("with one number changed in param.%s does not pass", async (name) => {
    const changed = changedAt(made, `param.${name}`, 0, 2);
    const { worst } = await verifyReferenceFile(referenceBytes(changed, config), device);
    expect(worst.relativeError).toBeGreaterThan(10 * referenceTolerance);
  });

  test("with a wrong or missing number in a result does not pass, and names the result", async () => {
    for (const value of [1, Number.NaN]) {
      const { worst } = await verifyReferenceFile(referenceBytes(changedAt(made, "grad.1.layers.2.up.bias", 4, value), config), device);
      expect(worst).toMatchObject({ block: 1, name: "grad.1.layers.2.up.bias", kind: "gradient" });
      expect(worst.relativeError).toBeGreaterThan(referenceTolerance);
    }
  });

  test.each([
    ["of another architecture", "architecture", { architecture: "dit" }],
    ["without a parameter", "missingTensor", { without: "param.layers.1.o.bias" }],
    ["without an input", "missingTensor", { without: "in.epsilon" }],
    ["without a result", "missingTensor", { without: "grad.0.head.bias" }],
    ["with a parameter of other sizes", "shape", { extra: { width: 12 } }],
    ["with a parameter too many", "unknownParameter", { add: "param.cls" }],
    ["with a gradient for a layer of another block", "unexpectedTensor", { add: "grad.1.layers.0.o.bias" }],
    ["with a size that is no whole number", "config", { extra: { layers: 1.5 } }],
    ["with heads that do not divide the width", "config", { extra: { heads: 4 } }],
    ["with a label out of range", "label", { set: "in.labels", to: 7 }],
    ["with a noise level of zero", "sigma", { set: "in.sigma.1", to: 0 }],
    ["with a walk that goes up", "grid", { set: "in.samplerSigmas", to: 0.5 }],
  ] as [string, string, Fault][])("%s is refused", async (_, code, { architecture, without, extra, add, set, to }) => {
    const tensors = new Map(made);
    if (without !== undefined) tensors.delete(without);
    if (add !== undefined) tensors.set(add, { name: add, dtype: "F64", shape: [6], data: new Float64Array(6) });
    const faulty = set === undefined ? tensors : changedAt(tensors, set, 0, to!);
    const error = await verifyReferenceFile(referenceBytes(faulty, { ...config, ...extra }, architecture), device).catch(
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(FormatError);
    expect(error).toMatchObject({ code });
  });
});

interface Fault {
  readonly architecture?: string;
  readonly without?: string;
  readonly extra?: Partial<ReferenceSpec["config"]>;
  readonly add?: string;
  readonly set?: string;
  readonly to?: number;
}

function changedAt(tensors: ReadonlyMap<string, NamedArray>, name: string, index: number, value: number): Map<string, NamedArray> {
  const tensor = tensors.get(name)!;
  const data = (tensor.data as Float64Array).slice();
  data[index] = value;
  return new Map([...tensors, [name, { ...tensor, data }]]);
}
