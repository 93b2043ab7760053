import { levelsOf } from "../diffusion/index.ts";
import { RunError, UsageError } from "../errors.ts";
import { bySigma } from "../inference/index.ts";
import { encodeModel, type OnnxModel } from "../onnx/index.ts";
import { fold, integer, type Key, key, normals, uniformAt } from "../random.ts";
import type { Device } from "../runtime/index.ts";
import { createProgram, type HostArray, type Program, sizeOf, standardOperators, type Tensor, type TensorType } from "../tensor/index.ts";
import {
  type Caller,
  createCaller,
  type ExportedNetwork,
  type ExportSampling,
  type ParameterValues,
  type PredictionProgram,
  parameterNames,
  type TrainingMethod,
  traceProgram,
} from "../train/index.ts";

export interface ExportOnnxOptions {
  /** Where the files are run once, to compare them with the library. */
  readonly device: Device;
  readonly values: ParameterValues;
  readonly sampling?: ExportSampling;
  /** Written into every file. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Largest difference from the library's own answer, as a share of the largest number of the answer where that is above 1. */
  readonly tolerance?: number;
}

/** A network, or a block of it, as an ONNX file for any number of items. */
export interface OnnxFile {
  /** "network.onnx", "block-0.onnx" */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** From the library's answer to the same random inputs; see {@link ExportOnnxOptions.tolerance}. */
  readonly difference: number;
}

/** Items of the comparison, and of the two traces that sizes are read from: primes that are no usual size of a network. */
const [compared, traced, twin] = [4, 11, 13] as const;

/**
 * Writes a trained network as ONNX files, of operators of the ONNX standard alone: `network.onnx` answers as prediction does, with
 * its noise as inputs; `block-N.onnx` is the estimate of one block, from z and σ (or a time t). The number of items is open.
 * Each file is run and compared with the library.
 *
 * @throws {UsageError} if the method's answer is no one program. {RunError} if a file differs from the library by more than
 *   the tolerance.
 */
export async function exportOnnx(
  method: TrainingMethod,
  { device, values, sampling, metadata = {}, tolerance = 1e-4 }: ExportOnnxOptions,
): Promise<readonly OnnxFile[]> {
  if (method.exported === undefined) {
    const message = `export: ${method.name} has no answer that is one program. Networks trained in blocks or end to end have.`;
    throw new UsageError("notExported", { method: method.name }, message);
  }
  const network = await method.exported(sampling);
  const names = parameterNames(method.units);
  const about = { ...metadata, process: JSON.stringify(network.about) };
  await using caller = createCaller(method, { device, values, batchSize: compared });
  const files: OnnxFile[] = [];
  const check = async (program: PredictionProgram, example: Example): Promise<void> => {
    const file = { ...openProgram(program, { names, values, metadata: { ...about, program: program.name } }), program };
    const difference = Math.max(await differenceOf(device, file, example, example.count), await differenceOf(device, file, example, 1));
    if (!(difference <= tolerance)) {
      const message = `export: ${program.name} as ONNX differs from the library by ${difference.toExponential(1)}, more than ${tolerance}; nothing was written. If the sampler is one of your own, it must treat all numbers alike, as sums.`;
      throw new RunError("exportDiffers", { program: program.name, difference, tolerance }, message);
    }
    files.push({ name: `${program.name}.onnx`, bytes: file.bytes, difference });
  };
  await check(network.whole, await network.example(caller.call, compared, key("export")));
  for (const block of network.blocks)
    await check(
      network.scaling === undefined ? block : bySigma(block, network.scaling),
      await blockExample(caller, block, network, fold(key("export"), block.name)),
    );
  return files;
}

interface OpenProgramOptions {
  readonly names: ReadonlyMap<Tensor, string>;
  readonly values: ParameterValues;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A program with its parameters, for any number of items. */
function openProgram(program: PredictionProgram, { names, values, metadata }: OpenProgramOptions): OnnxModel {
  const trace = (items: number): Program => createProgram(traceProgram(program, items), { names, rewrites: standardOperators });
  trace(traced); // masks are kept from trace to trace: with all of them there, nodes have the same order in the next two
  const own = trace(traced);
  const parameters = own.inputs.filter(({ tensor }) => tensor.source?.kind === "parameter");
  const bytes = parameters.reduce((sum, { tensor }) => sum + 4 * sizeOf(tensor.shape), 0);
  if (bytes > 1.9e9) {
    const message = `export: ${program.name} has ${(bytes / 1e9).toFixed(1)} GB of parameters; an ONNX file holds 2. Export with --format safetensors.`;
    throw new UsageError("tooLarge", { bytes }, message);
  }
  const weights = new Map(parameters.map(({ name }) => [name, values(name)]));
  return encodeModel(own, { metadata, weights, batch: { items: traced, twin: trace(twin), twinItems: twin } });
}

/** Inputs of some items and the answer to them. */
interface Example {
  readonly count: number;
  readonly inputs: Readonly<Record<string, HostArray>>;
  readonly outputs: Readonly<Record<string, HostArray>>;
}

/** Random inputs of a block's program, and what the library makes of them. */
async function blockExample({ call }: Caller, program: PredictionProgram, network: ExportedNetwork, own: Key): Promise<Example> {
  const { scaling, about } = network;
  const bound = Number(about.vocabSize ?? about.numClasses ?? 1) || 1;
  const sigma = normals(fold(own, "sigma"), compared).map((x) => Math.exp(x));
  const arrayOf = (name: string, { dtype, shape }: TensorType): HostArray => {
    const [size, seed] = [sizeOf(shape), fold(own, name)];
    if (dtype !== "float32") return Int32Array.from({ length: size }, (_, i) => integer(fold(seed, i), bound));
    return name === "t" ? Float32Array.from({ length: size }, (_, i) => uniformAt(seed, i)) : normals(seed, size);
  };
  const inputs = Object.fromEntries(Object.entries(program.inputs(compared)).map(([name, type]) => [name, arrayOf(name, type)]));
  const outputs = await call(program, scaling === undefined ? inputs : { ...inputs, ...levelsOf(sigma, scaling) });
  return { count: compared, inputs: scaling === undefined ? inputs : { ...inputs, sigma }, outputs };
}

/** The largest difference of a file's answer to the first `items` items of an example. */
async function differenceOf(
  device: Device,
  file: OnnxModel & { readonly program: PredictionProgram },
  { count, inputs, outputs }: Example,
  items: number,
): Promise<number> {
  const first = (array: HostArray): HostArray => array.slice(0, (array.length / count) * items);
  const types: Readonly<Record<string, TensorType>> = { ...file.program.inputs(items), ...traceProgram(file.program, items) };
  const sized = (specs: OnnxModel["inputs"]): OnnxModel["inputs"] => specs.map((spec) => ({ ...spec, shape: types[spec.name]!.shape }));
  await using executable = await device.compile({ bytes: file.bytes, inputs: sized(file.inputs), outputs: sized(file.outputs) });
  const answer = await executable.run(Object.fromEntries(file.inputs.map(({ name }) => [name, first(inputs[name]!)])));
  let worst = 0;
  for (const { name } of file.outputs) {
    const [own, wanted] = [answer[name] as Float32Array, first(outputs[name]!) as Float32Array];
    if (own.length !== wanted.length) return Number.POSITIVE_INFINITY;
    const scale = wanted.reduce((most, x) => Math.max(most, Math.abs(x)), 1);
    for (const [i, x] of own.entries()) worst = Math.max(worst, Math.abs(x - wanted[i]!) / scale);
  }
  return worst;
}
