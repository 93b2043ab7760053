import type { ImageInfo, TextInfo } from "../data/index.ts";
import { exportOnnx, exportTraining } from "../exchange/index.ts";
import { type NamedArray, writeSafetensors } from "../formats/index.ts";
import { openRun, type RunFolder } from "../run/index.ts";
import type { ExportSampling } from "../train/index.ts";
import { modelCard } from "./modelCard.ts";
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
 * metadata: configuration, partition, normalisation and class names or tokenizer, version.
 *
 * @throws {RunError} if a unit is not trained, or a file differs from the library: then nothing is written.
 */
export async function exportRunAsOnnx(
  run: TrainedRun,
  { out, sampling = {}, ...choice }: ExportRunOptions & { readonly sampling?: ExportSampling },
): Promise<readonly WrittenFile[]> {
  const values = await loadParameters(run);
  await using device = await deviceOf(run, choice);
  return writeFiles(out, await exportOnnx(run.method, { device, values, sampling, metadata: await metadataOf(run) }));
}

/** Writes the training step of each unit of a run as ONNX, without its optimiser: see {@link exportTraining}. */
export async function exportRunForTraining(run: TrainedRun, { out, ...choice }: ExportRunOptions): Promise<readonly WrittenFile[]> {
  const { method, config } = run;
  const values = await loadParameters(run);
  await using device = await deviceOf(run, choice);
  const { batchSize, checkpointing, parts } = config.training;
  return writeFiles(
    out,
    await exportTraining(method, { device, values, batchSize, checkpointing, parts, metadata: await metadataOf(run) }),
  );
}

/**
 * Writes a trained run as one safetensors file with its configuration, what it knows of its data, its tokenizer and a model card:
 * `importRun` reads it back bit for bit. Names are the paths of the parameters with points, as in "block-0.layers.2.mlp.up.weight";
 * matrices are [in, out].
 */
export async function exportRunAsSafetensors(run: TrainedRun, { out }: Pick<ExportRunOptions, "out">): Promise<readonly WrittenFile[]> {
  const values = await loadParameters(run);
  const { config, info, method } = run;
  const parameters = new Map(method.units.flatMap(({ trainable, frozen }) => [...trainable, ...frozen]));
  const tensors = [...parameters].map(
    ([path, { shape }]): NamedArray => ({ name: tensorName(path), dtype: "F32", shape, data: values(path) }),
  );
  const { tokenizer } = info as Partial<TextInfo>;
  const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const card = modelCard(run, { parameters: tensors.reduce((sum, { data }) => sum + data.length, 0), evaluation: await evaluationOf(run) });
  return writeFiles(out, [
    { name: "model.safetensors", bytes: writeSafetensors(tensors, { format: "pt", producer: softwareVersions() }) },
    { name: "config.json", bytes: bytes(json(config)) },
    { name: "data.json", bytes: bytes(json(info)) },
    ...(tokenizer?.kind === "json" ? [{ name: "tokenizer.json", bytes: bytes(json(tokenizer.json)) }] : []),
    { name: "README.md", bytes: bytes(card) },
  ]);
}

/** The name of a parameter in a file: its path with points. */
export function tensorName(path: string): string {
  return path.replaceAll("/", ".");
}

async function metadataOf({ folder, config, info }: TrainedRun): Promise<Readonly<Record<string, string>>> {
  const { mean, std, classNames, tokenizer } = info as Partial<ImageInfo & TextInfo>;
  const known = {
    model: config.model,
    method: config.method,
    partition: await partitionOf(folder),
    data: info.name,
    normalisation: mean && { mean, std },
    classNames,
    tokenizer,
  };
  const texts = Object.entries(known).flatMap(([name, value]) => (value === undefined ? [] : [[name, textOf(value)] as const]));
  return { version: softwareVersions(), ...Object.fromEntries(texts) };
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The cuts of the noise range and of the layers; undefined where the method has none. */
async function partitionOf(folder: RunFolder): Promise<unknown> {
  return await folder.readPartition().catch(() => undefined);
}

async function evaluationOf({ folder, task }: TrainedRun): Promise<string | undefined> {
  const evaluation = await folder.readEvaluation();
  return evaluation === undefined ? undefined : task.textOf(evaluation);
}

type Content = { readonly name: string; readonly bytes: Uint8Array } & Pick<WrittenFile, "difference" | "loss">;

async function writeFiles(out: string, files: readonly Content[]): Promise<readonly WrittenFile[]> {
  const folder = await openRun(out, { create: true });
  const written: WrittenFile[] = [];
  for (const { name, bytes, ...rest } of files)
    written.push({ ...rest, path: await folder.writeFile(name, bytes), byteLength: bytes.byteLength });
  return written;
}
