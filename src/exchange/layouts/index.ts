import { UsageError } from "../../errors.ts";
import { diffusionBlocksVit } from "./diffusionBlocksVit.ts";
import { dit } from "./dit.ts";
import { gpt2 } from "./gpt2.ts";
import type { Layout, PublishedConfig } from "./layout.ts";
import { llama } from "./llama.ts";
import { visionTransformer } from "./visionTransformer.ts";

/** Published architectures that can be read. */
export const layouts: readonly Layout[] = [visionTransformer, gpt2, llama, dit, diffusionBlocksVit];

/** The layout of a configuration. @throws {UsageError} if its architecture is not known. */
export function layoutOf(config: PublishedConfig): Layout {
  const type = typeOf(config);
  const layout = layouts.find(({ types }) => types.includes(String(type)));
  if (layout !== undefined) return layout;
  const known = layouts.flatMap(({ types }) => types).join(", ");
  const message = `config.json: the architecture ${JSON.stringify(type)} is not known; known are ${known}, and runs that dblocks export --format safetensors wrote.`;
  throw new UsageError("unknownArchitecture", { type }, message);
}

/** The official DiffusionBlocks code says of its networks that they are ViTs with time conditioning. */
function typeOf({ model_type, time_conditioning }: PublishedConfig): unknown {
  return model_type === "vit" && time_conditioning === true ? "vit-diffusionblocks" : model_type;
}
