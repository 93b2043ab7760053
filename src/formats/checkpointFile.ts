import { FormatError } from "../errors.ts";
import { sha256 } from "./canonicalJson.ts";
import { asFloat32, readSafetensors, writeSafetensors } from "./safetensors.ts";

/**
 * A checkpoint is a safetensors file that carries its own checksum: the SHA-256 of the whole file, header included, with its own 64
 * digits read as zeros. It stands first in the metadata, so that its place is the same in every file.
 */
export const checksum = {
  /** What the file has between its first 8 bytes and the digits. */
  opening: '{"__metadata__":{"sha256":"',
  at: 8 + '{"__metadata__":{"sha256":"'.length,
  length: 64,
  none: "0".repeat(64),
} as const;

/** The version of the layout, in the metadata. */
export const checkpointVersion = "1";

/** Keys of the metadata that a checkpoint sets itself. */
export const checkpointKeys: readonly string[] = ["sha256", "formatVersion", "unit", "step", "configHash"];

/** The state of a unit after a step, as its file has it. */
export interface CheckpointContent {
  readonly unit: string;
  readonly step: number;
  /** Of the configuration's identity. */
  readonly configHash: string;
  readonly arrays: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The name of a checkpoint's file. */
export function checkpointName(step: number): string {
  return `step-${String(step).padStart(6, "0")}.safetensors`;
}

/** The step of a file of this name; undefined if it is no checkpoint's. */
export function checkpointStep(name: string): number | undefined {
  const digits = /^step-(\d{6,})\.safetensors$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** A checkpoint in memory. For large states on disk there is `run/`, which writes the same bytes piece by piece. */
export async function encodeCheckpoint({ unit, step, configHash, arrays, metadata }: CheckpointContent): Promise<Uint8Array> {
  const tensors = [...arrays].map(([name, { shape, data }]) => ({ name, dtype: "F32", shape, data }) as const);
  const own = { sha256: checksum.none, formatVersion: checkpointVersion, unit, step: String(step), configHash };
  const file = writeSafetensors(tensors, { ...own, ...metadata });
  file.set(new TextEncoder().encode(await sha256(file)), checksum.at);
  return file;
}

/**
 * The content of a checkpoint that is in memory.
 *
 * @throws {FormatError} `noChecksum` or `checksum` if it is none, or damaged; what {@link readSafetensors} finds.
 */
export async function decodeCheckpoint(file: Uint8Array): Promise<CheckpointContent> {
  const end = checksum.at + checksum.length;
  const start = new TextDecoder("latin1").decode(file.subarray(8, end));
  if (file.length < end || !start.startsWith(checksum.opening))
    throw new FormatError("noChecksum", {}, "This is no checkpoint of this library: it does not start with a SHA-256 of its content.");
  const copy = new Uint8Array(file); // not file.slice(): that of a Node Buffer is no copy
  copy.set(new TextEncoder().encode(checksum.none), checksum.at);
  if ((await sha256(copy)) !== start.slice(checksum.opening.length))
    throw new FormatError("checksum", {}, "The content of this checkpoint does not match its SHA-256: it is truncated or damaged.");
  const { metadata, tensors } = readSafetensors(file);
  const { unit = "", step = "", configHash = "", ...others } = metadata;
  if (!/^\d{1,15}$/.test(step))
    throw new FormatError("step", { step }, `This checkpoint is of step "${step.slice(0, 40)}", which is no whole number.`);
  const rest = Object.fromEntries(Object.entries(others).filter(([key]) => !checkpointKeys.includes(key)));
  const arrays = new Map([...tensors].map(([name, tensor]) => [name, { shape: tensor.shape, data: asFloat32(tensor) }]));
  return { unit, step: Number(step), configHash, arrays, metadata: rest };
}
