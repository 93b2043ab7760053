import { UsageError } from "../../errors.ts";
import type { PublishedWeights } from "../publishedWeights.ts";

/** The configuration that lies beside published weights. */
export type PublishedConfig = Readonly<Record<string, unknown>>;

/** A published network as one of ours. */
export interface PublishedNetwork {
  /** Its name and options. */
  readonly model: { readonly name: string; readonly [option: string]: unknown };
  /** How it was trained, and its options: end to end by default. */
  readonly method?: { readonly name: string; readonly [option: string]: unknown };
  /** What it must know of its data: sizes of images, or of text. */
  readonly shape:
    | {
        readonly kind: "images";
        readonly imageSize: number;
        readonly channels: number;
        readonly classNames: readonly string[];
        readonly isLatent?: boolean;
        /** Of all channels, where no preprocessor_config.json says another. */
        readonly normalisation?: { readonly mean: number; readonly std: number };
      }
    | { readonly kind: "text"; readonly vocabSize: number; readonly length: number };
  /** Of each parameter by its path, its numbers. */
  readonly values: ReadonlyMap<string, Float32Array>;
}

/** What the user asks of an imported network. */
export interface Asked {
  /** Tokens of a sequence, of a language model; as many as it was trained with, at most 1,024, by default. */
  readonly length?: number | undefined;
}

/** A published architecture: how its tensors are called, and where their numbers lie in ours. */
export interface Layout {
  /** As in `model_type` of config.json. */
  readonly types: readonly string[];
  /** @throws {FormatError} for a missing, misshapen or unknown tensor. {UsageError} for an option that ours lacks. */
  read(config: PublishedConfig, weights: PublishedWeights, asked: Asked): PublishedNetwork;
}

/** A whole number of a configuration. @throws {UsageError} if it is none. */
export function sizeOf(config: PublishedConfig, name: string, byDefault?: number): number {
  const value = config[name] ?? byDefault;
  if (Number.isInteger(value) && (value as number) > 0) return value as number;
  throw new UsageError(
    "badConfig",
    { name, value },
    `config.json: ${name} is ${JSON.stringify(value)}; a whole number above 0 is expected.`,
  );
}

export function refuseOther(config: PublishedConfig, name: string, allowed: readonly unknown[]): void {
  const value = config[name];
  if (value === undefined || value === null || allowed.includes(value)) return;
  const message = `config.json: ${name} is ${JSON.stringify(value)}; this architecture is known with ${allowed.map((one) => JSON.stringify(one)).join(" or ")} alone.`;
  throw new UsageError("otherArchitecture", { name, value }, message);
}

/**
 * Tokens of a sequence.
 *
 * @param most that the network was trained with.
 * @param isBound whether it knows no positions beyond.
 * @throws {UsageError} for more than these.
 */
export function lengthOf({ length }: Asked, most: number, isBound: boolean): number {
  if (length === undefined) return Math.min(1024, most);
  if (!isBound || length <= most) return length;
  const message = `--length ${length}: this network has learned ${most} positions. Choose at most ${most}.`;
  throw new UsageError("tooLong", { length, most }, message);
}

/**
 * The embeddings of tokens with that of the start of a text behind them, [vocabSize + 1, width]. Ours reads a start before the first token;
 * theirs the token that `bos_token_id` names.
 *
 * @throws {UsageError} if that is no token.
 */
export function withStart(config: PublishedConfig, embeddings: Float32Array, vocabSize: number): Float32Array {
  const [start, width] = [config.bos_token_id, embeddings.length / vocabSize];
  if (!(Number.isInteger(start) && (start as number) >= 0 && (start as number) < vocabSize)) {
    const message = `config.json: bos_token_id is ${JSON.stringify(start)}; the number of the token that begins a text is needed.`;
    throw new UsageError("badConfig", { name: "bos_token_id", value: start }, message);
  }
  const table = new Float32Array((vocabSize + 1) * width);
  table.set(embeddings);
  table.set(embeddings.subarray((start as number) * width, ((start as number) + 1) * width), vocabSize * width);
  return table;
}

/** Names of classes from `id2label`. */
export function classNamesOf(config: PublishedConfig): readonly string[] {
  const labels = Object.values((config.id2label ?? {}) as Readonly<Record<string, string>>);
  return labels.length > 0 ? labels : ["0", "1"];
}
