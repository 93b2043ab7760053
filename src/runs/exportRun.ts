import { exportOnnx, exportTraining, type NamedBytes, onnxMetadata, safetensorsFiles } from "../exchange/index.ts";
import { openRun } from "../run/index.ts";
import type { ExportSampling } from "../train/index.ts";
import { softwareVersions } from "./provenance.ts";
import { type DeviceChoice, deviceOf, loadParameters, type TrainedRun } from "./trainedRun.ts";

/** A file that was written. */
export interface WrittenFile {
  readonly path: string;
  readonly byteLength: number;
  /** Of an ONNX file: its difference from the library's answer, see {@link exportOnnx}. */
  readonly difference?: number;
  /** Of a training step: the loss that it computed. */
  readonly loss?: number;
}

export interface ExportRunOptions extends DeviceChoice {
  /** The folder to write; made where it is missing. */
  readonly out: string;
}

/**
 * Writes a trained run as ONNX files, each compared with the library: see {@link exportOnnx}. What a reader must know is in their
 * metadata: {@link onnxMetadata}.
 *
 * @throws {RunError} if a unit is not trained, or a file differs from the library: then nothing is written.
 */
export async function exportRunAsOnnx(
  run: TrainedRun,
  { out, sampling = {}, ...choice }: ExportRunOptions & { readonly sampling?: ExportSampling },
): Promise<readonly WrittenFile[]> {
  const values = await loadParameters(run);
  await using device = await deviceOf(run, choice);
  return writeFiles(out, await exportOnnx(run.method, { device, values, sampling, metadata: metadataOf(run) }));
}

/** Writes the training step of each unit of a run as ONNX, without its optimiser: see {@link exportTraining}. */
export async function exportRunForTraining(run: TrainedRun, { out, ...choice }: ExportRunOptions): Promise<readonly WrittenFile[]> {
  const { method, config } = run;
  const values = await loadParameters(run);
  await using device = await deviceOf(run, choice);
  const { batchSize, checkpointing, parts } = config.training;
  return writeFiles(out, await exportTraining(method, { device, values, batchSize, checkpointing, parts, metadata: metadataOf(run) }));
}

/** Writes a trained run as safetensors with all that it takes to make a run of it again: see {@link safetensorsFiles}. */
export async function exportRunAsSafetensors(
  run: TrainedRun,
  { out, merge }: Pick<ExportRunOptions, "out"> & { readonly merge?: boolean | undefined },
): Promise<readonly WrittenFile[]> {
  const values = await loadParameters(run);
  return writeFiles(out, safetensorsFiles(run, { values, merge, version: softwareVersions(), evaluation: await evaluationOf(run) }));
}

function metadataOf(run: TrainedRun): Readonly<Record<string, string>> {
  return onnxMetadata(run, { version: softwareVersions() });
}

async function evaluationOf({ folder, task }: TrainedRun): Promise<string | undefined> {
  const evaluation = await folder.readEvaluation();
  return evaluation === undefined ? undefined : task.textOf(evaluation);
}

type Content = NamedBytes & Pick<WrittenFile, "difference" | "loss">;

async function writeFiles(out: string, files: readonly Content[]): Promise<readonly WrittenFile[]> {
  const folder = await openRun(out, { create: true });
  const written: WrittenFile[] = [];
  for (const { name, bytes, ...rest } of files)
    written.push({ ...rest, path: await folder.writeFile(name, bytes), byteLength: bytes.byteLength });
  return written;
}
