import { RunError } from "../errors.ts";
import type { SafetensorsTensor } from "../formats/index.ts";
import { type Checkpoint, CheckpointStore, type RunFolder } from "../run/index.ts";
import type { HostArray } from "../tensor/index.ts";
import type { TrainingMethod, Unit } from "../train/index.ts";
import { type Check, checkOf } from "./check.ts";

/**
 * Reads every checkpoint of every unit: each is whole (SHA-256), of this unit and this configuration, and holds the
 * unit's parameters; what all units hold in common is the same in all of them. One file is in memory at a time.
 */
export async function checkCheckpoints(folder: RunFolder, method: TrainingMethod, configHash: string): Promise<readonly Check[]> {
  const found = new Set<string>();
  const damaged: string[] = [];
  const common = new CommonArrays(method);
  let files = 0;
  for (const unit of method.units) {
    const store = CheckpointStore.forReading({ folder: folder.unitFolder(unit.name), unit: unit.name, configHash });
    for (const step of await store.steps()) {
      files++;
      const checkpoint = await loadWhole(store, step);
      if (typeof checkpoint === "string") {
        damaged.push(checkpoint);
        continue;
      }
      damaged.push(...missingParameters(unit, checkpoint));
      if (found.has(unit.name)) continue;
      found.add(unit.name);
      common.add(unit, checkpoint);
    }
    if (!found.has(unit.name)) damaged.push(`${unit.name} has no whole checkpoint`);
  }
  return [
    checkOf(
      "the checkpoints are whole and of this configuration",
      damaged,
      `${files} files of ${method.units.length} units, configuration ${configHash.slice(0, 12)}`,
    ),
    checkOf("what blocks have in common is the same in all of them", common.faults, common.summary()),
  ];
}

async function loadWhole(store: CheckpointStore, step: number): Promise<Checkpoint | string> {
  try {
    return await store.load(step);
  } catch (error) {
    if (error instanceof RunError && error.code === "noCheckpoint") return error.message;
    throw error;
  }
}

function missingParameters(unit: Unit, { path, tensors }: Checkpoint): string[] {
  return [...unit.trainable, ...unit.frozen].flatMap(([name, { shape }]) => {
    const found = tensors.get(`value/${name}`);
    if (found === undefined) return [`${path} lacks ${name}`];
    return found.shape.join() === shape.join()
      ? []
      : [`${path} has ${name} as [${found.shape.join(", ")}] in place of [${shape.join(", ")}]`];
  });
}

/** Arrays that must be alike in all units: constants, and parameters that units share. */
class CommonArrays {
  readonly faults: string[] = [];
  readonly #first = new Map<string, { unit: string; step: number; data: Uint8Array }>();
  readonly #method: TrainingMethod;
  #compared = 0;

  constructor(method: TrainingMethod) {
    this.#method = method;
  }

  add(unit: Unit, { step, tensors }: Checkpoint): void {
    for (const [name, constant] of unit.constants) {
      if (constant.source?.kind !== "constant") continue;
      const saved = tensors.get(`constant/${name}`);
      if (saved === undefined) this.faults.push(`${unit.name} has no ${name}`);
      else if (!sameBytes(saved.data, bytesOf(constant.source.data)))
        this.faults.push(`the ${name} of ${unit.name} are not those of this configuration`);
      this.#compare(`constant/${name}`, unit.name, step, saved);
    }
    for (const path of this.#sharedPaths(unit)) {
      const known = this.#first.get(`value/${path}`);
      // What is trained together changes at every step: comparable only at the same one.
      if (known !== undefined && known.step !== step && !unit.frozen.has(path)) continue;
      // Units that are trained on finished ones read what those answer with: the moving average, where one is kept.
      const average = this.#method.order.kind === "sequential" ? tensors.get(`ema/${path}`) : undefined;
      this.#compare(`value/${path}`, unit.name, step, average ?? tensors.get(`value/${path}`));
    }
  }

  summary(): string {
    return this.#compared === 0 ? "blocks have no arrays in common" : `${this.#first.size} arrays, ${this.#compared} comparisons`;
  }

  #sharedPaths(unit: Unit): string[] {
    const others = this.#method.units.filter((other) => other !== unit);
    return [...unit.trainable.keys(), ...unit.frozen.keys()].filter((path) =>
      others.some(({ trainable, frozen }) => trainable.has(path) || frozen.has(path)),
    );
  }

  #compare(name: string, unit: string, step: number, saved: SafetensorsTensor | undefined): void {
    if (saved === undefined) return;
    const known = this.#first.get(name);
    if (known === undefined) {
      this.#first.set(name, { unit, step, data: saved.data.slice() });
      return;
    }
    this.#compared++;
    if (!sameBytes(known.data, saved.data)) this.faults.push(`${name} differs between ${known.unit} and ${unit}`);
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: HostArray): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && a.every((byte, i) => byte === b[i]);
}
