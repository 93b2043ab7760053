import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import {
  buildMethod,
  type ConfigPart,
  decodeModel,
  exportOnnx,
  exportTraining,
  fold,
  key,
  type OnnxFile,
  parseRunConfig,
  registry,
} from "../../src/index.ts";
import { normals } from "../../src/random.ts";
import { sizeOf } from "../../src/tensor/index.ts";
import type { ParameterValues, TrainingMethod } from "../../src/train/index.ts";
import { device } from "../support/devices.ts";

const folder = mkdtempSync(join(tmpdir(), "dblocks-onnx-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const images = { channels: 3, imageSize: 8, numClasses: 4 };
const text = { vocabSize: 6, length: 8 };
const small = { width: 16, numHeads: 2, numLayers: 3, mlpWidth: 32 };

interface Case {
  readonly title: string;
  readonly model: ConfigPart["model"];
  readonly method: ConfigPart["method"];
  readonly shape: object;
}

const blocks = (options: object = {}) => ({ name: "blocks", numBlocks: 3, ...options });
const cases: readonly Case[] = [
  { title: "vit in blocks", model: { name: "vit", ...small }, method: blocks(), shape: images },
  {
    title: "vit by a drawn walk of five levels",
    model: { name: "vit", ...small },
    method: blocks({ headInput: "mixed", sampling: { numSteps: 5, estimate: "sampled", readout: "last", sampler: "heun" } }),
    shape: images,
  },
  {
    title: "vit by a hard walk",
    model: { name: "vit", ...small, labelToken: "class" },
    method: blocks({ targetEmbedding: "learned", sampling: { estimate: "hard", readout: "last", sampler: "dpm++2m" } }),
    shape: images,
  },
  { title: "vit end to end", model: { name: "vit", ...small }, method: "end-to-end", shape: images },
  { title: "mlp end to end", model: { name: "mlp", width: 16, numLayers: 3 }, method: "end-to-end", shape: images },
  { title: "dit in blocks", model: { name: "dit", ...small }, method: blocks(), shape: images },
  { title: "autoregressive in blocks", model: { name: "autoregressive", ...small }, method: blocks(), shape: text },
  {
    title: "autoregressive in groups, by a walk",
    model: { name: "autoregressive", ...small },
    method: blocks({ groupSize: 2, sampling: { numSteps: 4, estimate: "sampled", readout: "last" } }),
    shape: text,
  },
  {
    title: "autoregressive, stacked, next-token heads",
    model: { name: "autoregressive", ...small, numKeyHeads: 1 },
    method: blocks({ context: "stacked", nextTokenWeight: 1, sampling: { readout: "next-token" } }),
    shape: text,
  },
  { title: "autoregressive end to end", model: { name: "autoregressive", ...small }, method: "end-to-end", shape: text },
  {
    title: "recurrent depth",
    model: { name: "recurrent-depth", width: 16, numHeads: 2, mlpWidth: 32, preludeLayers: 1, coreLayers: 2, codaLayers: 1 },
    method: { name: "blocks" },
    shape: text,
  },
  { title: "masked diffusion in blocks", model: { name: "masked-diffusion", ...small }, method: blocks(), shape: text },
];

const methodOf = ({ model, method, shape }: Omit<Case, "title">): TrainingMethod =>
  buildMethod(registry, parseRunConfig(registry, [{ model, method, data: { path: "none" } } as ConfigPart]), shape);

/** Numbers for every parameter, none of them special: many start at zero, and would hide what they multiply. */
function shaken({ units }: TrainingMethod): ParameterValues {
  const all = new Map(units.flatMap(({ trainable, frozen }) => [...trainable, ...frozen]));
  return (path) => {
    const { shape } = all.get(path)!;
    return normals(fold(key("weights"), path), sizeOf(shape)).map((x) => (path.endsWith("gain") ? 1 + 0.1 * x : 0.3 * x));
  };
}

const cpu = await device("cpu");
const exported = new Map<string, readonly OnnxFile[]>();
const filesOf = async (one: Case): Promise<readonly OnnxFile[]> => {
  const known = exported.get(one.title);
  if (known !== undefined) return known;
  const method = methodOf(one);
  const files = await exportOnnx(method, {
    device: cpu,
    values: shaken(method),
    metadata: { version: "test" },
    sampling: { numSteps: one.title.startsWith("dit") ? 4 : undefined },
  });
  exported.set(one.title, files);
  return files;
};

describe("ONNX files of trained networks", () => {
  test.each(cases)("$title: each file answers as the library does, for any number of items", async (one) => {
    const files = await filesOf(one);
    const { title } = one;
    const count = title.endsWith("end to end") ? 1 : title.startsWith("recurrent") ? 2 : 4;
    expect(files).toHaveLength(count);
    for (const { name, bytes, difference } of files) {
      expect(difference).toBeLessThan(name === "network.onnx" ? 1e-4 : 1e-5);
      const { nodes, inputs, metadata } = decodeModel(bytes);
      expect(new Set(nodes.map(({ domain }) => domain))).toEqual(new Set([""]));
      for (const { shape } of inputs) expect([name, shape[0], shape.slice(1).every((size) => size > 0)]).toEqual([name, -1, true]);
      expect(metadata).toMatchObject({ version: "test", process: expect.any(String) });
    }
  });

  test("on WASM they answer the same", async () => {
    const wasm = await device("wasm");
    const method = methodOf(cases[0]!);
    for (const { difference } of await exportOnnx(method, { device: wasm, values: shaken(method) })) expect(difference).toBeLessThan(2e-5);
  });

  test("guided images, and fewer steps", async () => {
    const method = methodOf(cases.find(({ title }) => title === "dit in blocks")!);
    const [network] = await exportOnnx(method, { device: cpu, values: shaken(method), sampling: { guidance: 2, numSteps: 2 } });
    expect(network!.difference).toBeLessThan(2e-5);
  });

  test("a file that differs is refused, and so is a method without an answer in one program", async () => {
    const method = methodOf(cases[0]!);
    const options = { device: cpu, values: shaken(method) };
    await expect(exportOnnx(method, { ...options, tolerance: -1 })).rejects.toThrow(/differs from the library by .* nothing was written/);
    const { exported: _, ...without } = method;
    await expect(exportOnnx(without, options)).rejects.toThrow(/blocks has no answer that is one program/);
  });

  test("the training step of a block gives the loss and a gradient for each of its own parameters", async () => {
    const method = methodOf(cases[0]!);
    const files = await exportTraining(method, { device: cpu, values: shaken(method), batchSize: 4 });
    expect(files.map(({ name }) => name)).toEqual(["block-0.training.onnx", "block-1.training.onnx", "block-2.training.onnx"]);
    for (const [b, { bytes, loss }] of files.entries()) {
      const { inputs, outputs, metadata } = decodeModel(bytes);
      const own = [...method.units[b]!.trainable.keys()];
      expect(
        outputs
          .map(({ name }) => name)
          .filter((name) => name.startsWith("gradient/"))
          .sort(),
      ).toEqual(own.map((path) => `gradient/${path}`).sort());
      expect(inputs.map(({ name }) => name)).toEqual(expect.arrayContaining(["input", "labels", "random/sigma", "random/normal", ...own]));
      expect(JSON.parse(metadata.random!)).toContainEqual(
        expect.objectContaining({ name: "random/sigma", drawnFrom: expect.stringMatching(/^sigma in \[/) }),
      );
      expect(loss).toBeGreaterThan(0);
    }
  });

  // The reference implementation in Python is independent of this library and of ONNX Runtime.
  const python = process.env.DBLOCKS_PYTHON ?? "python3";
  const hasOnnx = spawnSync(python, ["-c", "import onnx, numpy"]).status === 0;
  test.skipIf(!hasOnnx)("an independent reader checks them and computes the same (skipped without Python's onnx)", async () => {
    const paths: string[] = [];
    for (const one of cases.filter(({ title }) => /^(vit in|dit|autoregressive in blocks|masked)/.test(title))) {
      for (const { name, bytes } of (await filesOf(one)).slice(0, 2)) {
        paths.push(join(folder, `${one.title} ${name}`));
        writeFileSync(paths.at(-1)!, bytes);
      }
    }
    expect(execFileSync(python, ["-c", reader, ...paths], { encoding: "utf8" })).toBe("the same\n".repeat(8));
  });
});

/** Checks a file, and runs it with ONNX's own reference implementation beside ONNX Runtime where that is installed. */
const reader = `
import sys, numpy, onnx
from onnx.reference import ReferenceEvaluator
for path in sys.argv[1:]:
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    rng = numpy.random.default_rng(0)
    feeds = {}
    for value in model.graph.input:
        kind = value.type.tensor_type
        shape = [d.dim_value or 3 for d in kind.shape.dim]
        feeds[value.name] = (rng.random(shape, dtype=numpy.float32) + 0.1 if kind.elem_type == 1 else rng.integers(0, 4, shape).astype(numpy.int32))
    own = ReferenceEvaluator(model).run(None, feeds)
    try:
        import onnxruntime
        other = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, feeds)
        for a, b in zip(own, other):
            numpy.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
    except ImportError:
        assert all(numpy.isfinite(a).all() for a in own)
    print("the same")
`;
