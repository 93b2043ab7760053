import { FormatError, UsageError } from "../errors.ts";
import { decodeModel, type OnnxGraph, type TensorSpec } from "../onnx/index.ts";
import type { Device } from "../runtime/index.ts";

/**
 * A network that turns images into feature vectors, from an ONNX file: images in [−1, 1], [batch, channels, size,
 * size] -> [batch, width].
 */
export interface FeatureNetwork extends AsyncDisposable {
  /** Its name in tables: the file's own metadata "features", else its name. */
  readonly name: string;
  readonly width: number;
  readonly channels: number;
  readonly size: number;
  /** Adds the features of `count` images of any square size to `sink`; they are resized, and grey ones repeated, as the network wants. */
  extract(
    images: Float32Array,
    shape: { readonly count: number; readonly channels: number; readonly size: number },
    sink: (row: Float32Array) => void,
  ): Promise<void>;
}

const defaultBatch = 32;

/** Numbers of a batch of images, at most: 512 of Inception-v3's fit. */
const mostNumbers = 2 ** 28;

/** What a feature network's file says of it. */
interface FeatureFile {
  readonly graph: OnnxGraph;
  readonly input: TensorSpec;
  readonly output: TensorSpec;
}

/**
 * Checks the file of a feature network without a device.
 *
 * @param name the file's name, for messages.
 * @throws {FormatError} if the bytes are no ONNX model. {UsageError} if it is no network from square images to vectors.
 */
export function readFeatureFile(bytes: Uint8Array, name: string): FeatureFile {
  const graph = decoded(bytes, name);
  const inputs = graph.inputs.filter(({ name: input }) => !graph.initializers.has(input));
  const [input, output] = [inputs[0], graph.outputs[0]];
  const isImage = inputs.length === 1 && input?.shape.length === 4 && input.shape[2] === input.shape[3] && input.shape[2]! > 0;
  const isVector = output !== undefined && (output.shape[1] ?? -1) > 0 && output.shape.slice(2).every((d) => d === 1);
  if (isImage && isVector) return { graph, input, output };
  const found = `${inputs.map(showSpec).join(", ") || "nothing"} -> ${graph.outputs.map(showSpec).join(", ") || "nothing"}`;
  const message = `${name}: a feature network maps one input [batch, channels, size, size] to vectors [batch, width]; this one maps ${found}.`;
  throw new UsageError("notFeatures", { name }, message);
}

/**
 * Opens a feature network, such as Inception-v3's pool3 exported to ONNX with input [N, 3, 299, 299] and output [N,
 * 2048].
 *
 * @param name the file's name, for messages and tables.
 * @throws what {@link readFeatureFile} throws; {FormatError} if a device cannot run the model.
 */
export async function openFeatures(device: Device, bytes: Uint8Array, name: string): Promise<FeatureNetwork> {
  const { graph, input, output } = readFeatureFile(bytes, name);
  const width = output.shape[1]!;
  const batch = input.shape[0]! > 0 ? input.shape[0]! : defaultBatch;
  const [channels, size] = [input.shape[1]!, input.shape[2]!];
  if (!(channels > 0 && batch * channels * size * size <= mostNumbers && width <= mostNumbers)) {
    const sizes = `${batch} images of ${channels}×${size}×${size}, ${width} features`;
    throw new UsageError(
      "featuresTooLarge",
      { name },
      `${name}: ${sizes}; more than ${mostNumbers} numbers are no feature network. Export it anew.`,
    );
  }
  const program = {
    bytes,
    inputs: [{ ...input, shape: [batch, channels, size, size] }],
    outputs: [{ ...output, shape: [batch, width, ...output.shape.slice(2)] }],
  };
  const executable = await device.compile(program, { optimization: "all" }).catch((cause: unknown) => {
    throw new FormatError("badFeatures", { name }, `${name} is an ONNX model that cannot be run: ${(cause as Error).message}`, { cause });
  });
  const staged = new Float32Array(batch * channels * size * size);
  return {
    name: graph.metadata.features ?? name.replace(/^.*[\\/]|\.onnx$/g, ""),
    width,
    channels,
    size,
    extract: async (images, { count, ...shape }, sink) => {
      const pixels = shape.channels * shape.size ** 2;
      for (let first = 0; first < count; first += batch) {
        const real = Math.min(batch, count - first);
        for (let i = 0; i < real; i++) {
          const image = images.subarray((first + i) * pixels, (first + i + 1) * pixels);
          placeImage(image, shape, staged.subarray(i * channels * size ** 2, (i + 1) * channels * size ** 2), { channels, size });
        }
        const result = (await executable.run({ [input.name]: staged }))[output.name] as Float32Array;
        for (let i = 0; i < real; i++) sink(result.subarray(i * width, (i + 1) * width));
      }
    },
    [Symbol.asyncDispose]: () => executable.dispose(),
  };
}

function decoded(bytes: Uint8Array, name: string): OnnxGraph {
  try {
    return decodeModel(bytes);
  } catch (cause) {
    const message = `${name} is no ONNX model, or a damaged one (${(cause as Error).message}). Make or fetch it anew.`;
    throw new FormatError("badFeatures", { name }, message, { cause });
  }
}

interface Square {
  readonly channels: number;
  readonly size: number;
}

/** One image in another size, bilinear with pixel centres (as pytorch-fid resizes); a grey image fills all channels. */
export function placeImage(image: Float32Array, from: Square, out: Float32Array, to: Square): void {
  const ratio = from.size / to.size;
  for (let channel = 0; channel < to.channels; channel++) {
    const plane = Math.min(channel, from.channels - 1) * from.size ** 2;
    for (let row = 0; row < to.size; row++) {
      const [top, bottom, down] = neighbours(row, ratio, from.size);
      for (let column = 0; column < to.size; column++) {
        const [left, right, along] = neighbours(column, ratio, from.size);
        const upper = image[plane + top * from.size + left]! * (1 - along) + image[plane + top * from.size + right]! * along;
        const lower = image[plane + bottom * from.size + left]! * (1 - along) + image[plane + bottom * from.size + right]! * along;
        out[(channel * to.size + row) * to.size + column] = upper * (1 - down) + lower * down;
      }
    }
  }
}

/** The two source pixels around a target pixel's centre, and the share of the second. */
function neighbours(index: number, ratio: number, size: number): readonly [number, number, number] {
  const at = Math.min(size - 1, Math.max(0, (index + 0.5) * ratio - 0.5));
  const first = Math.floor(at);
  return [first, Math.min(size - 1, first + 1), at - first];
}

function showSpec({ name, shape }: TensorSpec): string {
  return `${name} [${shape.map((d) => (d < 0 ? "?" : d)).join(", ")}]`;
}
