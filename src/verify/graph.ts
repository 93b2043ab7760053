import { ancestors, type Tensor } from "../tensor/index.ts";

/** Everything without a producer that these tensors are computed from: inputs, parameters, random numbers, constants. */
export function sourcesOf(tensors: readonly Tensor[]): Set<Tensor> {
  const all = [...tensors, ...ancestors(tensors).flatMap(({ inputs }) => inputs)];
  return new Set(all.filter(({ source }) => source !== undefined));
}

/** The parameters among them. */
export function parametersIn(tensors: readonly Tensor[]): Set<Tensor> {
  return new Set([...sourcesOf(tensors)].filter(({ source }) => source?.kind === "parameter"));
}
