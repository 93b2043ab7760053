import { type HostArray, input, type Tensor, type TensorType } from "../tensor/index.ts";

/** The inputs of a program by name, for a batch of this size. */
export type ProgramInputs<In extends string> = (batchSize: number) => Readonly<Record<In, TensorType>>;

/**
 * A graph that prediction runs. It is a value: whoever calls it hands over the program itself, so the compiler checks the names of what
 * goes in and what comes out. It is traced for a batch size, and compiled, when it is first called.
 */
export interface PredictionProgram<In extends string = string, Out extends string = string> {
  /** For messages and exported files; unique in a method. */
  readonly name: string;
  readonly inputs: ProgramInputs<In>;
  /** Symbols of the inputs in, outputs by name out. Nothing is computed here. */
  trace(inputs: Readonly<Record<In, Tensor>>, batchSize: number): Readonly<Record<Out, Tensor>>;
}

/** Makes a program; the names of inputs and outputs are inferred. */
export function predictionProgram<In extends string, Out extends string>(
  name: string,
  inputs: ProgramInputs<In>,
  trace: PredictionProgram<In, Out>["trace"],
): PredictionProgram<In, Out> {
  return { name, inputs, trace };
}

/**
 * Runs a program with the present parameters. Inputs that the traced graph does not use are ignored.
 *
 * @param feeds flat arrays in the shapes of the program's inputs.
 * @returns its outputs, flat.
 */
export type Call = <In extends string, Out extends string>(
  program: PredictionProgram<In, Out>,
  feeds: Readonly<Record<In, HostArray>>,
) => Promise<Readonly<Record<Out, Float32Array>>>;

/** The outputs of a program as symbols, with an input symbol for each of its inputs. */
export function traceProgram<In extends string, Out extends string>(
  { inputs, trace }: PredictionProgram<In, Out>,
  batchSize: number,
): Readonly<Record<Out, Tensor>> {
  const types = Object.entries<TensorType>(inputs(batchSize));
  const symbols = Object.fromEntries(types.map(([name, { shape, dtype }]) => [name, input(name, shape, dtype)]));
  return trace(symbols as Record<In, Tensor>, batchSize);
}

/** The type of a float32 input. */
export function float32(...shape: readonly number[]): TensorType {
  return { dtype: "float32", shape };
}

/** The type of an int32 input. */
export function int32(...shape: readonly number[]): TensorType {
  return { dtype: "int32", shape };
}
