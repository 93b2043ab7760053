/** A grid of values by whole numbers: 0 is where it starts, its neighbours are −1 and 1. */
export interface GridSearch {
  /** All of them are given the same values, and as many trials. */
  readonly systems: readonly string[];
  /** Numbers of the first grid, in order. */
  readonly start: readonly number[];
  /** Shares of a whole training, ascending: trials of the first are cheap, the last is 1. */
  readonly shares: readonly number[];
  /** Whether the grid can have this number. */
  readonly has: (place: number) => boolean;
  /** The loss of one trial, which is to be small; undefined if it diverged. */
  readonly measure: (trial: GridTrial) => Promise<number | undefined>;
}

export interface GridTrial {
  readonly system: string;
  readonly place: number;
  readonly share: number;
}

export interface Chosen {
  readonly place: number;
  /** Whether no better neighbour could be looked for: the grid ends there. */
  readonly isAtEdge: boolean;
}

/**
 * Successive halving: every system tries the whole grid in a short training, the better half of its values in one twice as long, and so
 * on to the whole training, whose best value is chosen; at least two values get there.
 *
 * Where the best value of a system lies at an edge of the grid, the grid grows by one there, and every system tries the new value in a
 * training of that length: all systems make equally many trials of each length, whatever their best values are.
 *
 * @see Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", 2016.
 */
export async function successiveHalving(search: GridSearch): Promise<Readonly<Record<string, Chosen>>> {
  const { systems, start, shares, has, measure } = search;
  let [low, high] = [Math.min(...start), Math.max(...start)];
  let survivors = new Map(systems.map((system) => [system, [...start]]));
  for (const share of shares) {
    const ranked = new Map<string, Ranked[]>();
    const tryOut = async (system: string, place: number): Promise<void> => {
      const loss = await measure({ system, place, share });
      ranked.set(system, [...(ranked.get(system) ?? []), { place, loss }].sort(byLoss));
    };
    for (const [system, places] of survivors) for (const place of places) await tryOut(system, place);
    const isBest = (edge: number): boolean => systems.some((system) => ranked.get(system)![0]!.place === edge);
    for (let grown = true; grown; ) {
      const more = [...(isBest(low) && has(low - 1) ? [--low] : []), ...(isBest(high) && has(high + 1) ? [++high] : [])];
      for (const place of more) for (const system of systems) await tryOut(system, place);
      grown = more.length > 0;
    }
    survivors = new Map(
      [...ranked].map(([system, all]) => [system, all.slice(0, Math.max(2, Math.ceil(all.length / 2))).map(({ place }) => place)]),
    );
  }
  return Object.fromEntries(
    [...survivors].map(([system, [place]]) => [system, { place: place!, isAtEdge: place === low || place === high }]),
  );
}

interface Ranked {
  readonly place: number;
  readonly loss: number | undefined;
}

/** The least loss first; of equals the nearest to the start. Of what diverged, the smallest: it diverged last. */
function byLoss(one: Ranked, other: Ranked): number {
  if (one.loss === undefined && other.loss === undefined) return one.place - other.place;
  if (one.loss === undefined || other.loss === undefined) return one.loss === undefined ? 1 : -1;
  return one.loss - other.loss || Math.abs(one.place) - Math.abs(other.place);
}
