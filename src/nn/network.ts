import { concat, constant, slice, type Tensor, type TensorType } from "../tensor/index.ts";
import type { Context } from "./context.ts";
import { type LayerMemory, throughStages } from "./memory.ts";
import { type Module, namedParameters } from "./module.ts";
import type { Conditioning } from "./norm.ts";

/** One residual unit: [batch, tokens, width], same out as in. */
export type Layer = Module<(h: Tensor, context: Context) => Tensor>;

/** A state brought through layers one after another; see {@link LayerMemory} for what is kept of it in training. */
export function throughLayers(layers: readonly Layer[], start: Tensor, context: Context, memory?: LayerMemory): Tensor {
  const stages = layers.map((layer) => ([h]: readonly Tensor[], [condition]: readonly (Tensor | undefined)[]): Tensor[] => [
    layer(h!, { ...context, condition }),
  ]);
  return throughStages(stages, { states: [start], items: [context.condition] }, memory)[0]!;
}

/** Parameters of consecutive layers by path, the first of them being number `first` of its network. */
export function layerParameters(layers: readonly Layer[], first: number): Map<string, Tensor> {
  return new Map(layers.flatMap((layer, i) => [...namedParameters(layer, `layers.${first + i}`)]));
}

/**
 * An architecture with its sizes. `build` makes fresh parameters at every call: once for end-to-end training, once
 * for each block that owns its stem and head.
 */
export interface Architecture<Built> {
  readonly name: string;
  readonly numLayers: number;
  /** Of the layer norms. */
  readonly epsilon: number;
  /** The input of a batch of this size. */
  inputType(batchSize: number): TensorType;
  build(conditioning: Conditioning): Built;
}

/** A network that answers with a class: a stem that embeds the input, layers, and a head that reads the answer. */
export interface ClassifierNetwork {
  /** The input, and the noisy target [batch, width] where there is one, as the state that the layers work on. */
  readonly stem: Module<(input: Tensor, target: Tensor | undefined, context: Context) => Tensor>;
  readonly layers: readonly Layer[];
  /** The state as logits [batch, classes]. `mix` stands between the features and their classifier: plain networks pass them through. */
  readonly head: Module<(h: Tensor, context: Context, mix?: (features: Tensor) => Tensor) => Tensor>;
}

export interface ClassifierArchitecture extends Architecture<ClassifierNetwork> {
  /** Width of the state; also of a class embedding that enters as a token. */
  readonly width: number;
  readonly numClasses: number;
}

/** A network that denoises an image, in which everything but the noise conditioning is its own. */
export interface ImageNetwork {
  /** [batch, channels, size, size] -> the state. */
  readonly stem: Module<(z: Tensor, context: Context) => Tensor>;
  readonly layers: readonly Layer[];
  /** The state as an image of the input's shape. */
  readonly head: Module<(h: Tensor, context: Context) => Tensor>;
  /**
   * The addition to the noise conditioning for labels, int32 [batch]; the label `numClasses` is the null label.
   * Undefined where there are no classes.
   */
  readonly labels: Module<(labels: Tensor) => Tensor> | undefined;
}

export interface ImageArchitecture extends Architecture<ImageNetwork> {
  /** 0 for images without classes. */
  readonly numClasses: number;
  /** Width of the conditioning vector. */
  readonly condWidth: number;
}

/** A network that reads tokens, some of them masked, and gives logits for each place. */
export interface TokenNetwork {
  /** int32 [batch, tokens], masked ones as the token `vocabSize`, at the positions of the context -> the state. */
  readonly stem: Module<(tokens: Tensor, context: Context) => Tensor>;
  readonly layers: readonly Layer[];
  /** The state as logits [batch, tokens, vocabSize]. */
  readonly head: Module<(h: Tensor, context: Context) => Tensor>;
}

/** An architecture for sequences of tokens. */
export interface TokenArchitecture<Built = TokenNetwork> extends Architecture<Built> {
  readonly vocabSize: number;
  /** Tokens of a sequence. */
  readonly length: number;
  readonly condWidth: number;
}

/**
 * A network that reads a text in order and gives logits for the next token at each place. It reads the start, token
 * `vocabSize`, and then the tokens.
 */
export interface LanguageNetwork extends TokenNetwork {
  /**
   * The addition of a noisy embedding of the next token to the state, [batch, tokens, targetWidth] -> [batch, tokens,
   * width]; undefined where the conditioning brings none.
   */
  readonly target: Module<(z: Tensor) => Tensor> | undefined;
}

/** An architecture for text in order; its layers see what lies before. */
export interface LanguageArchitecture<Built = LanguageNetwork> extends TokenArchitecture<Built> {
  readonly width: number;
  /** Width of the keys of a layer, and of its values. */
  readonly keyWidth: number;
}

/**
 * A network that reads a text in order and improves a state again and again by the same layers (recurrent depth).
 * State and embedding are [batch, tokens, width].
 */
export interface RecurrentNetwork {
  /** int32 [batch, tokens], at first the start -> the embedding that every recurrence sees. */
  readonly prelude: Module<(tokens: Tensor, context: Context) => Tensor>;
  /** One recurrence. */
  readonly core: Module<(state: Tensor, embedded: Tensor, context: Context) => Tensor>;
  /** The state as logits [batch, tokens, vocabSize]. */
  readonly coda: Module<(state: Tensor, context: Context) => Tensor>;
}

/** An architecture of recurrent depth; its layers see what lies before. */
export interface RecurrentArchitecture extends LanguageArchitecture<RecurrentNetwork> {
  /** Layers of each part; `numLayers` is their sum. */
  readonly parts: { readonly prelude: number; readonly core: number; readonly coda: number };
  /** Recurrences on average in training, and as many as there are in prediction. */
  readonly meanRecurrence: number;
  /** Standard deviation of the state before the first recurrence. */
  readonly stateDeviation: number;
}

/** The paths of a network that reads an image and a noisy label, û(z, x), as NoProp's. */
export interface NoPropPaths {
  /** The image as features, [batch, features]. */
  readonly image: Module<(images: Tensor, context: Context) => Tensor>;
  /** The noisy label [batch, embeddingWidth] as features. */
  readonly label: Module<(z: Tensor, context: Context) => Tensor>;
  /** Features of image and label, and of the time where there is one, joined. */
  readonly joint: Module<(features: readonly Tensor[]) => Tensor>;
  /** -> class logits. */
  readonly classifier: Module<(h: Tensor) => Tensor>;
}

/** Such paths with the time t in [0, 1] as a third: [batch] -> [batch, features]. */
export interface TimedNoPropPaths extends NoPropPaths {
  readonly time: Module<(t: Tensor) => Tensor>;
}

/** Makes such networks, with fresh parameters at each call. */
export interface NoPropNetwork {
  readonly name: string;
  readonly numClasses: number;
  /** Width of the features of one path. */
  readonly features: number;
  inputType(batchSize: number): TensorType;
  /** For one of a row of networks, each at its own time. */
  discrete(embeddingWidth: number): NoPropPaths;
  /** For one network at all times. */
  continuous(embeddingWidth: number): TimedNoPropPaths;
}

/** The input of a next-token network: int32 [batch, length] -> the start, then all tokens but the last. */
export function precedingTokens(tokens: Tensor, vocabSize: number): Tensor {
  const [batch, length] = tokens.shape as [number, number];
  const start = constant(new Int32Array(batch).fill(vocabSize), [batch, 1], "int32");
  return length === 1 ? start : concat([start, slice(tokens, 1, 0, length - 1)], 1);
}
