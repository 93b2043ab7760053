import type { MetricRecord, RunConfig } from "diffusion-blocks";
import type { Evaluated, LossAtLevel, Message, Opened, Request, RequestName, Requests, StepEvent } from "./protocol.ts";

/** The measurements of one unit, in the order of its steps. */
export interface Curve {
  readonly steps: number[];
  readonly losses: number[];
  readonly accuracies: number[];
  readonly norms: number[];
}

export type LaneState = "closed" | "opening" | "paused" | "training" | "finished" | "failed";

/** The worker is an entry of the bundle beside the page's (vite.config.ts): both use the same copy of the library. */
const workerFile = "worker.js";

/** One call of a worker: an error of the worker becomes an error here. */
export class WorkerClient {
  readonly #worker = new Worker(new URL(/* @vite-ignore */ workerFile, import.meta.url), { type: "module" });
  readonly #waiting = new Map<number, { resolve: (answer: never) => void; reject: (error: Error) => void }>();
  #next = 0;

  constructor(onSteps: (steps: readonly StepEvent[]) => void = () => {}) {
    this.#worker.onmessage = ({ data }: MessageEvent<Message>) => {
      if ("steps" in data) return onSteps(data.steps);
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if ("error" in data) waiting?.reject(Object.assign(new Error(data.error), { code: data.code }));
      else waiting?.resolve(data.answer as never);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      for (const { reject } of this.#waiting.values()) reject(new Error(event.message || "The worker of this page could not be started."));
      this.#waiting.clear();
    };
  }

  call<Name extends RequestName>(name: Name, ask: Requests[Name]["ask"]): Promise<Requests[Name]["answer"]> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, name, ask } satisfies Request);
    });
  }

  end(): void {
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(new Error("The worker was ended."));
    this.#waiting.clear();
  }
}

/** One method in training beside others: a run of its own in a worker of its own. */
export class Lane {
  readonly run: string;
  readonly method: string;
  state: LaneState = "closed";
  error = "";
  opened: Opened | undefined;
  done: Readonly<Record<string, number>> = {};
  readonly curves = new Map<string, Curve>();
  /** Samples in the steps of the last seconds, by the second. */
  samplesPerSecond = 0;
  evaluated: Evaluated | undefined;
  lossByNoise: readonly LossAtLevel[] = [];
  readonly #changed: (now?: boolean) => void;
  readonly #client: WorkerClient;
  /** Settled when everything is answered that was asked beside training. */
  #asked: Promise<unknown> = Promise.resolve();

  constructor(method: string, run: string, changed: (now?: boolean) => void) {
    this.method = method;
    this.run = run;
    this.#changed = changed;
    this.#client = new WorkerClient((steps) => this.#receive(steps));
  }

  /** Opens the run in its worker: a new one if a configuration is given, else the one that is kept. */
  async open(options: Omit<Requests["open"]["ask"], "run">): Promise<void> {
    this.#set("opening");
    await this.#guard(async () => {
      const opened = await this.#client.call("open", { run: this.run, ...options });
      this.opened = opened;
      this.done = opened.done;
      for (const record of opened.records) this.#replay(record);
      this.#set(this.#isFinished() ? "finished" : "paused");
    });
  }

  async train(once = false): Promise<void> {
    await this.#asked; // such as another learning rate: the steps to come are made with it
    if (this.state !== "paused") return;
    this.evaluated = undefined;
    this.#set("training");
    await this.#guard(async () => {
      const { done, finished } = await this.#client.call("train", { once });
      this.done = done;
      this.#set(finished ? "finished" : "paused");
    });
  }

  async pause(): Promise<void> {
    if (this.state === "training") await this.#client.call("pause", {});
  }

  /** Changes the peak learning rate of the steps that are still to be made. */
  async changeRate(learningRate: number): Promise<RunConfig> {
    const config = await this.#aside("rate", { learningRate });
    if (this.opened !== undefined) this.opened = { ...this.opened, config };
    this.#changed();
    return config;
  }

  async evaluate(): Promise<void> {
    await this.#guard(async () => {
      this.evaluated = await this.#aside("evaluate", {});
    });
    this.#changed();
  }

  async measureLossByNoise(): Promise<void> {
    await this.#guard(async () => {
      this.lossByNoise = await this.#aside("lossByNoise", {});
    });
    this.#changed();
  }

  ask<Name extends "attention" | "classify" | "draw" | "pictures" | "reveal">(
    name: Name,
    ask: Requests[Name]["ask"],
  ): Promise<Requests[Name]["answer"]> {
    return this.#aside(name, ask);
  }

  end(): void {
    this.#client.end();
  }

  /** Does something with what is saved; training goes on behind it. */
  async #aside<Name extends RequestName>(name: Name, ask: Requests[Name]["ask"]): Promise<Requests[Name]["answer"]> {
    const wasTraining = this.state === "training";
    const answer = this.#client.call(name, ask);
    this.#asked = Promise.allSettled([this.#asked, answer]);
    try {
      return await answer;
    } finally {
      if (wasTraining) {
        await Promise.resolve();
        void this.#resume();
      }
    }
  }

  async #resume(): Promise<void> {
    while (this.state === "training") await new Promise((resolve) => setTimeout(resolve, 10));
    await this.train();
  }

  async #guard(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.error = "";
    } catch (error) {
      this.error = error instanceof Error ? error.message : String(error);
      if (this.state === "opening" || this.opened === undefined) this.#set("failed");
      else if (this.state === "training") this.#set("paused");
      this.#changed();
    }
  }

  #isFinished(): boolean {
    const { opened } = this;
    return opened?.units.every((unit) => (this.done[unit] ?? 0) >= opened.steps) ?? false;
  }

  #set(state: LaneState): void {
    this.state = state;
    this.#changed(true);
  }

  curve(unit: string): Curve {
    let curve = this.curves.get(unit);
    if (curve === undefined) {
      curve = { steps: [], losses: [], accuracies: [], norms: [] };
      this.curves.set(unit, curve);
    }
    return curve;
  }

  /** What the log says of a step that was made before the page was loaded. */
  #replay({ unit, step, values }: MetricRecord): void {
    const { loss, accuracy, gradientNorm } = values;
    if (typeof loss !== "number" || step > (this.done[unit] ?? 0)) return;
    this.#add(unit, step, loss, Number(accuracy ?? Number.NaN), Number(gradientNorm));
  }

  #add(unit: string, step: number, loss: number, accuracy: number, norm: number): void {
    const curve = this.curve(unit);
    while (curve.steps.length > 0 && curve.steps.at(-1)! >= step)
      // made again after a reload
      for (const values of Object.values(curve) as number[][]) values.pop();
    curve.steps.push(step);
    curve.losses.push(loss);
    curve.accuracies.push(accuracy);
    curve.norms.push(norm);
  }

  #receive(steps: readonly StepEvent[]): void {
    let seconds = 0;
    for (const { unit, step, loss, metrics, gradientNorm, stepMs } of steps) {
      this.#add(unit, step, loss, metrics.accuracy ?? Number.NaN, gradientNorm);
      this.done = { ...this.done, [unit]: step };
      seconds += stepMs / 1000;
    }
    const samples = steps.length * (this.opened?.config.training.batchSize ?? 0);
    if (seconds > 0)
      this.samplesPerSecond = this.samplesPerSecond === 0 ? samples / seconds : 0.8 * this.samplesPerSecond + (0.2 * samples) / seconds;
    this.#changed();
  }
}
