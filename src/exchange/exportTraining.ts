import { UsageError } from "../errors.ts";
import { encodeModel } from "../onnx/index.ts";
import { key } from "../random.ts";
import type { Device } from "../runtime/index.ts";
import { createProgram, type Tensor } from "../tensor/index.ts";
import {
  batchFeeds,
  type ParameterValues,
  parameterNames,
  RandomFeeds,
  renamed,
  scalarOutputs,
  type TrainerConfig,
  type TrainingMethod,
  traceStep,
} from "../train/index.ts";

export interface ExportTrainingOptions extends Pick<TrainerConfig, "checkpointing" | "parts"> {
  /** Where each file is run once. */
  readonly device: Device;
  /** Of the parameters, for that run. */
  readonly values: ParameterValues;
  /** Items of a step: fixed in the file. */
  readonly batchSize: number;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** The training step of a unit as an ONNX file. */
export interface TrainingFile {
  /** "block-0.training.onnx" */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** That a step with the given parameters computes, of numbers that mean nothing. */
  readonly loss: number;
}

/**
 * Writes the training step of each unit as ONNX, without its optimiser: `input`, `labels`, the parameters by their paths and the
 * random numbers of the step go in; `loss` and `gradient/PATH` of each parameter that the unit trains come out. The metadata
 * `random` says of each random input what it is drawn from.
 *
 * @throws {UsageError} of a method that prepares its steps by further programs.
 */
export async function exportTraining(
  method: TrainingMethod,
  { device, values, batchSize, metadata = {}, ...memory }: ExportTrainingOptions,
): Promise<readonly TrainingFile[]> {
  if (method.prepare !== undefined) {
    const message = `export --training: a step of ${method.name} with these options runs other programs first; it is no one program.`;
    throw new UsageError("noTrainingProgram", { method: method.name }, message);
  }
  const files: TrainingFile[] = [];
  for (const unit of method.units) {
    const { objective, gradients } = traceStep(method, unit, batchSize, memory);
    const outputs = { ...scalarOutputs(objective), ...renamed(gradients, "gradient") };
    const names = parameterNames([unit]);
    const drawn = createProgram(outputs, { names }).inputs.flatMap(({ tensor }) => (tensor.source?.kind === "random" ? [tensor] : []));
    const random = namedRandoms(drawn);
    const program = createProgram(outputs, { names: new Map([...names, ...random.map(({ name, tensor }) => [tensor, name] as const)]) });
    const about = random.map(({ name, drawnFrom, tensor: { dtype, shape } }) => ({ name, drawnFrom, dtype, shape }));
    const file = encodeModel(program, {
      metadata: { ...metadata, unit: unit.name, random: JSON.stringify(about), trainable: JSON.stringify([...unit.trainable.keys()]) },
    });
    const { dtype, shape } = method.inputType(batchSize);
    const size = shape.reduce((product, dimension) => product * dimension, 1);
    const input = dtype === "float32" ? new Float32Array(size) : new Int32Array(size);
    const given = batchFeeds(program, { input, labels: new Int32Array(batchSize) });
    const feeds = { ...given, ...new RandomFeeds(program).draw(key("export")) };
    await using executable = await device.compile(file);
    const parameters = file.inputs.flatMap(({ name }) => (name in feeds ? [] : [[name, values(name)] as const]));
    const { loss } = await executable.run({ ...feeds, ...Object.fromEntries(parameters) });
    files.push({ name: `${unit.name}.training.onnx`, bytes: file.bytes, loss: (loss as Float32Array)[0]! });
  }
  return files;
}

/** Random inputs with names that say what they are: "sigma", "standard normal", "standard normal 2". */
function namedRandoms(tensors: readonly Tensor[]) {
  const counts = new Map<string, number>();
  return tensors.map((tensor) => {
    const drawnFrom = tensor.source?.kind === "random" ? tensor.source.sampler.name : "";
    const base = drawnFrom.split(/ in \[|\(/)[0]!.trim();
    const count = (counts.get(base) ?? 0) + 1;
    counts.set(base, count);
    return { tensor, drawnFrom, name: `random/${base}${count > 1 ? ` ${count}` : ""}` };
  });
}
