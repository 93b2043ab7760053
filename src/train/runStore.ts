/** A number or a word that was measured. */
export type MetricValue = number | string | boolean;

/** Measurements of a unit at a step. */
export interface MetricRecord {
  readonly unit: string;
  /** Steps that were done. */
  readonly step: number;
  /** Seconds since 1970: the only field in which a resumed run differs from one that never stopped. */
  readonly time: number;
  readonly values: Readonly<Record<string, MetricValue>>;
}

/** An array of a unit's state: float32 numbers in row-major order. */
export interface StateArray {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** The state of a unit after a step, as a store gives it back. */
export interface SavedState {
  readonly step: number;
  /** Where it was found, for messages. */
  readonly source: string;
  readonly arrays: ReadonlyMap<string, StateArray>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The state of a unit after a step, as a store receives it. */
export interface StateToSave {
  readonly step: number;
  /** They belong to the caller, who changes them as soon as `save` has resolved. */
  readonly arrays: Iterable<readonly [name: string, array: StateArray]>;
  readonly metadata: Readonly<Record<string, string>>;
  /** It is better than every state saved before, and kept until there is a better one. */
  readonly isBest?: boolean;
}

/** The saved states of one unit. */
export interface UnitStore {
  /**
   * @param which the step of the wanted state, or the best one; by default the newest state that is whole.
   * @returns undefined if no step is given and there is no such state.
   * @throws {RunError} `noCheckpoint` if there is no whole state of the step.
   */
  load(which?: number | "best"): Promise<SavedState | undefined>;
  /**
   * Saves a state completely or not at all.
   *
   * @returns where it was saved, for messages.
   * @throws {RunError} if it cannot be saved; states that were saved before are untouched.
   */
  save(state: StateToSave): Promise<string>;
}

/** The log of a run, open for appending. */
export interface RunLog {
  write(unit: string, step: number, values: Readonly<Record<string, MetricValue>>): void;
  /** Makes what was written durable. Called before a state is saved, which must not be newer than its log. */
  sync(): void;
  close(): void;
}

/** Where a run is kept, so that it can be resumed: a folder, a browser's database, or memory. */
export interface RunStore {
  /** Opens the states of a unit for this process to load and to save; called before the log is opened. */
  openUnit(unit: string): Promise<UnitStore>;
  /**
   * Opens the log.
   *
   * @param resumeFrom for every unit that is trained, the step that it resumes from: later records of it are dropped, all of them at -1.
   */
  openLog(resumeFrom: Readonly<Record<string, number>>): Promise<RunLog>;
}
