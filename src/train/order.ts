/**
 * The dependence of a method's units on each other.
 *
 * - `independent`: none needs another; they are trained in any order, at the same time, or on other machines.
 * - `sequential`: each reads the finished parameters of those before it, and of no others.
 * - `interleaved`: they train parameters in common, or read parameters that others still train, so they take turns, one step each.
 */
export interface UnitOrder {
  readonly kind: "independent" | "sequential" | "interleaved";
  /** Parameters that become their mean over the units every so many rounds; the paths of a group are alike but for the unit's name. */
  readonly averaging?: { readonly every: number; readonly groups: readonly (readonly string[])[] };
}

export const independent: UnitOrder = Object.freeze({ kind: "independent" });
export const sequential: UnitOrder = Object.freeze({ kind: "sequential" });

export function interleaved(averaging?: UnitOrder["averaging"]): UnitOrder {
  return { kind: "interleaved", ...(averaging && { averaging }) };
}

/** `sequential`: one unit after another, each alone in memory. `interleaved`: all in memory, one step each in turn. */
export type UnitSchedule = "sequential" | "interleaved";

/** The schedule in which units of an order are trained: the wanted one, but units that must take turns are interleaved in any case. */
export function scheduleFor({ kind }: UnitOrder, wanted: UnitSchedule = "sequential"): UnitSchedule {
  return kind === "interleaved" ? "interleaved" : wanted;
}
