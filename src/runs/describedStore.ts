import type { RunStore, UnitStore } from "../train/index.ts";

/** A store that says what it loads and saves, and how long that takes. */
export function describedStore(store: RunStore, say: (message: string) => void): RunStore {
  return { ...store, openUnit: async (name) => describedUnit(name, await store.openUnit(name), say) };
}

function describedUnit(name: string, unit: UnitStore, say: (message: string) => void): UnitStore {
  return {
    load: async (step) => {
      const state = await unit.load(step);
      say(state === undefined ? `${name}: starts, there is no state to resume from` : `${name}: resumes from ${state.source}`);
      return state;
    },
    save: async (state) => {
      const started = performance.now();
      const source = await unit.save(state);
      say(`${name}: saved ${source} in ${(performance.now() - started).toFixed(0)} ms`);
      return source;
    },
  };
}
