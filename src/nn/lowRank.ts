import type { Tensor } from "../tensor/index.ts";
import type { Linear } from "./linear.ts";
import { namedParameters, type Part, type Parts } from "./module.ts";
import type { Architecture } from "./network.ts";

/** What a network has, as far as adapters are concerned. */
interface Sections {
  readonly stem: Part;
  readonly layers: readonly Part[];
  readonly head: Part;
}

const stillParameters = new WeakSet<Tensor>();

/** Whether a parameter stands still: units read it and do not train it. */
export function standsStill(parameter: Tensor): boolean {
  return stillParameters.has(parameter);
}

/** Scale of the product of low rank: α/r with α = 2r, as it is usually set. */
export const lowRankScale = 2;

/** The name of adapters, and of noise conditioning, in the paths of parameters. */
const [adapterName, conditioningName] = ["lowRank", "modulate"];

/**
 * The same architecture with an adapter of low rank beside each linear map of its layers, W + 2·down·up, and all else standing still: stem,
 * layers and head as they were trained before. Noise conditioning and what blocks bring along are trained, for they are new. `up` starts at
 * zero, so that the network starts as it was.
 *
 * @param rank r: an adapter of a map [in, out] has r·(in + out) parameters.
 * @see LoRA (Hu et al. 2022, arXiv 2106.09685).
 */
export function lowRank<Built extends Sections, A extends Architecture<Built>>(architecture: A, rank: number): A {
  return {
    ...architecture,
    build: (conditioning: Parameters<A["build"]>[0]) => {
      const network = architecture.build(conditioning);
      for (const layer of network.layers) adapt(layer, "", rank);
      for (const part of [network.stem, network.layers, network.head])
        for (const [path, parameter] of namedParameters(part)) if (!isTrained(path)) stillParameters.add(parameter);
      return network;
    },
  };
}

function isTrained(path: string): boolean {
  const names = path.split(".");
  return names.includes(adapterName) || names.includes(conditioningName);
}

/** Gives an adapter to each linear map of a part but those of the conditioning. */
function adapt(part: Part, name: string, rank: number): void {
  if (part === undefined || "origin" in part || name === conditioningName) return;
  if ("addLowRank" in part) {
    (part as Linear).addLowRank(rank, lowRankScale);
    return;
  }
  const children = Array.isArray(part) ? Object.entries(part as readonly Part[]) : Object.entries((part as { parts: Parts }).parts);
  for (const [key, child] of children) adapt(child as Part, key, rank);
}

/** The adapters of a network by the path of the weight that each belongs to: `….weight` of `….lowRank.down` and `….lowRank.up`. */
export function adaptersOf(paths: Iterable<string>): ReadonlyMap<string, { readonly down: string; readonly up: string }> {
  const suffix = `.${adapterName}.down`;
  const found = [...paths].filter((path) => path.endsWith(suffix)).map((path) => path.slice(0, -suffix.length));
  return new Map(found.map((map) => [`${map}.weight`, { down: `${map}${suffix}`, up: `${map}.${adapterName}.up` }]));
}
