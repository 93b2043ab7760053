import type { ImageInfo, TextInfo } from "../data/index.ts";
import { partitionFile } from "../define/index.ts";
import { type NamedArray, writeSafetensors } from "../formats/index.ts";
import type { ParameterValues } from "../train/index.ts";
import { mergedAdapters } from "./mergeAdapters.ts";
import { modelCard } from "./modelCard.ts";
import type { RunContent } from "./runContent.ts";

/** What wrote a file: "diffusion-blocks 0.2.0, Node v22.1.0". */
export interface Producer {
  readonly version: string;
}

/** A file that is to be written. */
export interface NamedBytes {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/**
 * What a reader of a run's ONNX file must know, as its metadata: partition, normalisation, class names or tokenizer, version; and the
 * whole configuration and data.json, of which `importNetwork` makes a run again.
 */
export function onnxMetadata({ config, method, info }: RunContent, { version }: Producer): Readonly<Record<string, string>> {
  const { mean, std, classNames, tokenizer } = info as Partial<ImageInfo & TextInfo>;
  const known = {
    model: config.model,
    method: config.method,
    partition: partitionFile(method),
    data: info.name,
    normalisation: mean && { mean, std },
    classNames,
    tokenizer,
    config,
    info,
  };
  const texts = Object.entries(known).flatMap(([name, value]) => (value === undefined ? [] : [[name, textOf(value)] as const]));
  return { version, ...Object.fromEntries(texts) };
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

export interface SafetensorsOptions extends Producer {
  readonly values: ParameterValues;
  /** The evaluation as lines, where there was one. */
  readonly evaluation?: string | undefined;
  /** Whether adapters are added to the weights that they belong to: see {@link mergedAdapters}. */
  readonly merge?: boolean | undefined;
}

/**
 * A trained run as one safetensors file with its configuration, what it knows of its data, its tokenizer and a model card:
 * `importNetwork` reads it back bit for bit. Names are the paths of the parameters with points, as in "block-0.layers.2.mlp.up.weight";
 * matrices are [in, out].
 *
 * @throws {UsageError} if there are no adapters to be merged.
 */
export function safetensorsFiles(
  run: RunContent,
  { version, evaluation, merge = false, ...options }: SafetensorsOptions,
): readonly NamedBytes[] {
  const { info, method } = run;
  const all = new Map(method.units.flatMap(({ trainable, frozen }) => [...trainable, ...frozen]));
  const apart = { config: run.config, parameters: all, values: options.values };
  const { config, parameters, values } = merge ? mergedAdapters(apart) : apart;
  const tensors = [...parameters].map(
    ([path, { shape }]): NamedArray => ({ name: tensorName(path), dtype: "F32", shape, data: values(path) }),
  );
  const { tokenizer } = info as Partial<TextInfo>;
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const json = (value: unknown): Uint8Array => bytes(`${JSON.stringify(value, null, 2)}\n`);
  const card = modelCard(run, { parameters: tensors.reduce((sum, { data }) => sum + data.length, 0), evaluation });
  return [
    { name: "model.safetensors", bytes: writeSafetensors(tensors, { format: "pt", producer: version }) },
    { name: "config.json", bytes: json(config) },
    { name: "data.json", bytes: json(info) },
    ...(tokenizer?.kind === "json" ? [{ name: "tokenizer.json", bytes: json(tokenizer.json) }] : []),
    { name: "README.md", bytes: bytes(card) },
  ];
}

/** The name of a parameter in a safetensors file: its path with points. */
export function tensorName(path: string): string {
  return path.replaceAll("/", ".");
}
