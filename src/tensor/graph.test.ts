import { describe, expect, test } from "vitest";
import { device } from "../../test/support/devices.ts";
import { evaluate } from "../../test/support/evaluate.ts";
import { decodeModel, encodeModel } from "../onnx/index.ts";
import { bernoulli, key, normal } from "../random.ts";
import * as T from "./index.ts";

const noInit: T.Initializer = { name: "none", fill: () => {} };

function mlpLayer(width: number): { parameters: T.Tensor[]; f: (h: T.Tensor) => T.Tensor } {
  const [up, down] = [T.parameter([width, 4 * width], noInit), T.parameter([4 * width, width], noInit)];
  return { parameters: [up, down], f: (h) => T.add(h, T.linear(T.gelu(T.linear(T.layerNorm(h), up)), down)) };
}

/** A stack of residual layers with its loss and gradients. */
function network(
  depth: number,
  checkpointed: boolean,
  shape = [16, 8, 16],
): { program: T.Program; parameters: T.Tensor[]; layers: ReturnType<typeof mlpLayer>[] } {
  const layers = Array.from({ length: depth }, () => mlpLayer(shape.at(-1)!));
  return { ...gradientsOf(layers, checkpointed, shape), layers };
}

function gradientsOf(
  layers: ReturnType<typeof mlpLayer>[],
  checkpointed: boolean,
  shape: readonly number[],
): { program: T.Program; parameters: T.Tensor[] } {
  const parameters = layers.flatMap((layer) => layer.parameters);
  const out = layers.reduce((h, { f }) => (checkpointed ? T.checkpoint(f)(h) : f(h)), T.input("x", shape));
  const loss = T.mean(T.square(out));
  const gradients = T.grad(loss, parameters);
  return { parameters, program: T.createProgram({ loss, ...Object.fromEntries(gradients.map((g, i) => [`g${i}`, g])) }) };
}

async function run(program: T.Program): Promise<Record<string, Float32Array>> {
  const cpu = await device("cpu");
  await using executable = await cpu.compile(encodeModel(program));
  const feeds = program.inputs.map(({ name, tensor }, i) => {
    const values = new Float32Array(T.sizeOf(tensor.shape));
    normal(key(i), values);
    return [name, values.map((x) => 0.3 * x)] as const;
  });
  return (await executable.run(Object.fromEntries(feeds))) as Record<string, Float32Array>;
}

describe("misuse names the operator, the shapes and the line of the caller", () => {
  const [a, b] = [T.input("a", [2, 3]), T.input("b", [4, 5])];
  const indices = T.input("i", [3]);
  test.each<[string, () => unknown, RegExp]>([
    ["elementwise", () => T.add(a, b), /add\(float32\[2, 3\], float32\[4, 5\]\): shapes .* do not broadcast/],
    ["dtype", () => T.add(a, T.cast(a, "int32")), /add\(.*one dtype/],
    ["gemm", () => T.gemm(a, b), /gemm\(float32\[2, 3\], float32\[4, 5\]\): inner dimensions differ/],
    ["matmul, transposed", () => T.matmul(a, b, { transB: true }), /matmul\(.*b transposed/],
    ["reshape", () => T.reshape(a, [5]), /reshape\(float32\[2, 3\]\): cannot become \[5\]: 6 elements against 5/],
    ["transpose", () => T.transpose(a, [0, 0]), /transpose\(.*not an order/],
    ["concat", () => T.concat([a, b], 0), /concat\(.*axis 0 only/],
    ["slice", () => T.slice(a, 1, 2, 9), /slice\(.*2\.\.9/],
    ["split", () => T.split(a, [1, 1], 1), /split\(.*add up to 2/],
    ["expand", () => T.expand(a, [3, 2]), /expand\(/],
    ["reduce", () => T.reduceSum(a, 7), /reduceSum\(.*\[7\]/],
    ["softmax", () => T.softmax(a, 5), /softmax\(.*no axis 5/],
    ["gather", () => T.gather(a, indices), /gather\(.*int32/],
    ["layer norm", () => T.layerNorm(a, { gain: T.input("g", [4]) }), /layerNorm\(/],
    ["convolution", () => T.conv2d(a, b), /conv2d\(/],
    ["grad of no scalar", () => T.grad(a, [a]), /grad: the loss must be a float32 scalar/],
    ["grad of what the loss ignores", () => T.grad(T.mean(a), [b]), /does not depend on float32\[4, 5\]/],
  ])("%s", (_, misuse, message) => {
    expect(misuse).toThrow(message);
    expect(misuse).toThrow(expect.objectContaining({ name: "ShapeError" }));
    const text = (() => {
      try {
        misuse();
      } catch (error) {
        return (error as Error).message;
      }
      return "";
    })();
    if (!text.startsWith("grad")) expect(text).toMatch(/graph\.test\.ts:\d+:\d+/);
  });
});

describe("checkpoint", () => {
  const shape = [16, 8, 16];
  const layers = Array.from({ length: 10 }, () => mlpLayer(16));
  const [plain, checkpointed] = [gradientsOf(layers, false, shape).program, gradientsOf(layers, true, shape).program];

  test("gives bit-identical gradients", async () => {
    const [a, b] = [await run(plain), await run(checkpointed)];
    for (const [name, values] of Object.entries(a)) expect(b[name]).toEqual(values);
  });

  test("lowers the predicted peak to less than half at ten layers, and keeps what a layer costs nearly constant in depth", () => {
    const peak = (program: T.Program): number => T.memoryProfile(program).peakBytes;
    expect(peak(checkpointed)).toBeLessThan(0.5 * peak(plain));
    const deeper = (depth: number, on: boolean): number => peak(network(depth, on).program);
    expect(deeper(12, true) - deeper(6, true)).toBeLessThan(0.25 * (deeper(12, false) - deeper(6, false)));
  });

  test("draws random tensors once", () => {
    const keep: T.Sampler = { name: "keep", fill: (out, own) => bernoulli(own, out as Uint8Array, 0.5) };
    const w = T.parameter([4, 4], noInit);
    const f = T.checkpoint((h: T.Tensor) => T.mul(T.square(T.linear(h, w)), T.cast(T.random(key(1), keep, [2, 4], "bool"), "float32")));
    const loss = T.mean(f(T.input("x", [2, 4])));
    const program = T.createProgram({ loss, g: T.grad(loss, [w])[0]! });
    expect(program.inputs.filter(({ tensor }) => tensor.source?.kind === "random")).toHaveLength(1);
  });

  test("inside another checkpoint: the same gradients, and what lies there is not kept while the outer one is computed again", async () => {
    const [w, v] = [T.parameter([4, 4], noInit), T.parameter([4, 4], noInit)];
    const inner = (h: T.Tensor): T.Tensor =>
      Array.from({ length: 8 }).reduce<T.Tensor>((x) => T.log(T.add(T.square(T.linear(x, w)), 1)), h);
    const outer = (f: (h: T.Tensor) => T.Tensor) => (h: T.Tensor) => T.linear(T.exp(f(T.linear(h, v))), v);
    const gradient = (g: (h: T.Tensor) => T.Tensor): T.Program => {
      const loss = T.mean(T.square(g(T.input("x", [64, 4]))));
      const [dw, dv] = T.grad(loss, [w, v]) as [T.Tensor, T.Tensor];
      return T.createProgram({ dw, dv });
    };
    const nested = gradient(T.checkpoint(outer(T.checkpoint(inner))));
    const [kept, once] = [gradient(outer(inner)), gradient(T.checkpoint(outer(inner)))];
    expect(await run(nested)).toEqual(await run(kept));
    const count = ({ nodes }: T.Program, name: string): number => nodes.filter(({ operator }) => operator.name === name).length;
    expect([kept, once, nested].map((program) => count(program, "exp"))).toEqual([1, 2, 2]);
    expect([kept, once, nested].map((program) => count(program, "log"))).toEqual([8, 16, 23]); // the last one is not needed for its own gradient
  });
});

describe("operators that the backward pass computes again", () => {
  const weights = Array.from({ length: 4 }, () => [T.parameter([8, 32], noInit), T.parameter([32, 8], noInit)] as const);
  const gradients = (activation: (h: T.Tensor) => T.Tensor): T.Program => {
    const last = weights.reduce((h, [up, down]) => T.linear(activation(T.linear(h, up)), down), T.input("x", [64, 8]));
    const wanted = T.grad(T.mean(T.square(last)), weights.flat());
    return T.createProgram(Object.fromEntries(wanted.map((g, i) => [`g${i}`, g])));
  };
  const count = ({ nodes }: T.Program): number => nodes.filter(({ operator }) => operator.name === "gelu").length;

  test("are computed twice, with the same gradients, and what they made is not kept", async () => {
    const again = gradients(T.gelu);
    // The same function, whose output passes through a node that is not rematerialised and is therefore kept.
    const kept = gradients((h) => T.mul(T.gelu(h), 1));
    expect([count(again), count(kept)]).toEqual([8, 4]);
    const [a, b] = [await run(again), await run(kept)];
    for (const [name, values] of Object.entries(a)) expect(b[name]).toEqual(values);
    expect(T.memoryProfile(again).peakBytes).toBeLessThan(0.8 * T.memoryProfile(kept).peakBytes);
  });
});

describe("program", () => {
  test("has no node that no output needs", () => {
    const x = T.input("x", [3]);
    T.exp(T.sin(x));
    expect(T.createProgram({ y: T.neg(x) }).nodes).toHaveLength(1);
  });

  test("names an input or a tensor that is an output twice by nodes of their own", async () => {
    const x = T.input("x", [2]);
    const y = T.neg(x);
    const cpu = await device("cpu");
    const results = await evaluate(cpu, { a: y, b: y, c: x }, { x: Float32Array.of(1, 2) });
    expect(Object.fromEntries(Object.entries(results).map(([name, values]) => [name, [...(values as Float32Array)]]))).toEqual({
      a: [-1, -2],
      b: [-1, -2],
      c: [1, 2],
    });
  });

  test("prints a layer with its gradient", () => {
    const w = T.parameter([2, 2], noInit);
    const loss = T.mean(T.square(T.linear(T.input("x", [3, 2]), w)));
    expect(T.printProgram(T.createProgram({ loss, g: T.grad(loss, [w])[0]! }, { names: new Map([[w, "w"]]) }))).toMatchInlineSnapshot(`
      "x: float32[3, 2]
      w: float32[2, 2]
      %0 = gemm(x, w): float32[3, 2]
      %1 = mul(%0, %0): float32[3, 2]
      %2 = reduceMean(%1): float32[3]
      %3 = reshape(1): float32[1]
      %4 = mul(%3, 0.3333333432674408): float32[1]
      %5 = expand(%4): float32[3]
      %6 = reshape(%5): float32[3, 1]
      %7 = mul(%6, 0.5): float32[3, 1]
      %8 = expand(%7): float32[3, 2]
      %9 = mul(%8, 2): float32[3, 2]
      %10 = mul(%9, %0): float32[3, 2]
      %11 = reduceMean(%2): float32[]
      %12 = gemm(x, %10): float32[2, 2]
      return loss = %11, g = %12"
    `);
  });

  test("runs last layers first among the gradients: each activation dies early", () => {
    const { program } = network(3, false);
    const order = T.executionOrder(program);
    const at = (name: string): number => order.indexOf(program.outputs.find((output) => output.name === name)!.tensor.producer!);
    expect(at("g5")).toBeLessThan(at("g0"));
    expect(new Set(order).size).toBe(program.nodes.length);
    for (const node of order)
      for (const input of node.inputs) if (input.producer) expect(order.indexOf(input.producer)).toBeLessThan(order.indexOf(node));
  });
});

describe("ONNX", () => {
  const { program } = network(2, true);
  const model = encodeModel(program);

  test("obeys the checker's rules: sorted nodes, every value defined once, unique names, a version for every domain", () => {
    const graph = decodeModel(model.bytes);
    const defined = new Set([...graph.inputs.map(({ name }) => name), ...graph.initializers.keys()]);
    expect(defined.size).toBe(graph.inputs.length + graph.initializers.size);
    for (const node of graph.nodes) {
      for (const name of node.inputs) expect(defined).toContain(name);
      for (const name of node.outputs) {
        expect(defined).not.toContain(name);
        defined.add(name);
      }
      expect(graph.opsets).toHaveProperty([node.domain]);
    }
    for (const { name } of graph.outputs) expect(defined).toContain(name);
    for (const { shape, raw, dtype } of graph.initializers.values()) expect(raw.length).toBe(T.sizeOf(shape) * T.bytesPerElement[dtype!]);
  });

  test("survives the way to bytes and back", () => {
    const graph = decodeModel(model.bytes);
    expect(graph.inputs).toEqual(model.inputs);
    expect(graph.outputs).toEqual(model.outputs);
    expect(graph.nodes).toHaveLength(program.nodes.length);
  });

  test("gives the same with all of ONNX Runtime's optimisations", async () => {
    const cpu = await device("cpu");
    await using optimized = await cpu.compile(model, { optimization: "all" });
    const feeds = Object.fromEntries(
      program.inputs.map(({ name, tensor }, i) => {
        const values = new Float32Array(T.sizeOf(tensor.shape));
        normal(key(i), values);
        return [name, values.map((x) => 0.3 * x)];
      }),
    );
    const a = (await optimized.run(feeds)) as Record<string, Float32Array>;
    const b = await run(program);
    for (const [name, values] of Object.entries(b))
      for (const [i, x] of values.entries()) expect(Math.abs(a[name]![i]! - x)).toBeLessThan(1e-4);
  });

  test("damaged bytes are a FormatError and nothing else", () => {
    const draws = new Uint32Array(200).map((_, i) => (i * 2_654_435_761) % model.bytes.length);
    for (const at of draws) {
      const damaged = model.bytes.slice(0, at % 2 === 0 ? at : model.bytes.length);
      damaged[at % Math.max(1, damaged.length)]! ^= 0x5a;
      try {
        decodeModel(damaged);
      } catch (error) {
        expect((error as Error).name).toBe("FormatError");
      }
    }
  });
});
