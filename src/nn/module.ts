import type { Tensor } from "../tensor/index.ts";

/** The parts of a module: parameters, modules, and lists or groups of them. Names come from the keys. */
export type Part = Tensor | { readonly parts: Parts } | readonly Part[] | undefined;
export interface Parts {
  readonly [name: string]: Part;
}

/** A function of tensors together with the parameters that it uses. */
export type Module<F> = F & { readonly parts: Parts };

/** Joins parts and a function into a module. */
export function defineModule<F extends object>(parts: Parts, call: F): Module<F> {
  return Object.assign(call, { parts });
}

/** The parameters below `part`, by path: `layers.0.attention.out.weight`. Order is that of the object keys. */
export function namedParameters(part: Part, path = ""): Map<string, Tensor> {
  if (part === undefined) return new Map();
  if ("origin" in part) return new Map([[path, part]]);
  const children = Array.isArray(part) ? part : (part as { parts: Parts }).parts;
  return new Map(
    Object.entries(children as Parts).flatMap(([name, child]) => [...namedParameters(child, path === "" ? name : `${path}.${name}`)]),
  );
}
