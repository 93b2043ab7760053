import { RunError } from "../errors.ts";
import type { MetricRecord, RunStore, SavedState, UnitStore } from "./runStore.ts";

type KeptState = SavedState & { readonly isBest: boolean };

/** A run in memory. */
export interface MemoryStore extends RunStore {
  /** The log, in the order in which it was written. */
  readonly records: readonly MetricRecord[];
}

/**
 * Keeps a run in memory: for tests, and for pages that resume a run while they are open.
 *
 * @param options.keepLast how many of the newest states of each unit stay; 2 by default.
 */
export function memoryStore({ keepLast = 2 }: { readonly keepLast?: number } = {}): MemoryStore {
  const states = new Map<string, KeptState[]>(); // by unit, the newest first
  let records: MetricRecord[] = [];
  return {
    get records() {
      return records;
    },
    openUnit: async (unit) => {
      const saved = states.get(unit) ?? [];
      states.set(unit, saved);
      return unitStore(unit, saved, keepLast);
    },
    openLog: async (resumeFrom) => {
      records = records.filter(({ unit, step }) => step <= (resumeFrom[unit] ?? Number.POSITIVE_INFINITY));
      return {
        write: (unit, step, values) => void records.push({ unit, step, time: Date.now() / 1000, values }),
        sync: () => {},
        close: () => {},
      };
    },
  };
}

function unitStore(unit: string, saved: KeptState[], keepLast: number): UnitStore {
  return {
    load: async (step) => {
      if (step === undefined) return saved[0];
      if (step === "best") return saved.find(({ isBest }) => isBest);
      const steps = saved.map((state) => state.step);
      const message = `${unit} has no state of step ${step}. Steps there: ${steps.join(", ") || "none"}.`;
      if (!steps.includes(step)) throw new RunError("noCheckpoint", { unit, step, steps }, message);
      return saved[steps.indexOf(step)];
    },
    save: async ({ step, arrays, metadata, isBest = false }) => {
      const source = `${unit}, step ${step}, in memory`;
      const copies = new Map([...arrays].map(([name, { shape, data }]) => [name, { shape, data: data.slice() }]));
      const others = saved.filter((state) => state.step !== step);
      const newestFirst = [{ step, source, arrays: copies, metadata, isBest }, ...others].sort((a, b) => b.step - a.step);
      const best = newestFirst.find((state) => state.isBest);
      saved.splice(0, saved.length, ...newestFirst.filter((state, i) => i < keepLast || state === best));
      return source;
    },
  };
}
