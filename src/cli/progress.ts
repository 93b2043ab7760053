import pc from "picocolors";
import { duration } from "./output.ts";

export interface ProgressOptions {
  /** Names of the units that are trained, in their order. */
  readonly units: readonly string[];
  /** Steps of each. */
  readonly steps: number;
  readonly samplesPerStep: number;
  /** The name of samples, in the plural. */
  readonly samples: string;
}

/** The numbers that are shown of a step. */
export interface ShownStep {
  readonly step: number;
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
}

interface UnitProgress {
  step: number;
  loss: number;
  accuracy: number;
}

/** The part of a stream that a progress line needs. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const terminalMs = 100;
const plainMs = 10_000;
/** Share of the newest value in running means. */
const rate = 0.05;

/**
 * Progress of training: one line that is written over on a terminal, a plain line every ten seconds elsewhere. Loss, accuracy and speed are
 * running means; the time left is that of all units together.
 */
export class TrainingProgress {
  readonly #options: ProgressOptions;
  readonly #stream: ProgressStream;
  readonly #isTerminal: boolean;
  readonly #colours: ReturnType<typeof pc.createColors>;
  readonly #units = new Map<string, UnitProgress>();
  #shownAt = Number.NEGATIVE_INFINITY;
  #lastStepAt: number | undefined;
  #started = 0;
  #stepsHere = 0;
  #secondsPerStep = 0;
  #isOpen = false;

  constructor(options: ProgressOptions, stream: ProgressStream = process.stderr) {
    this.#options = options;
    this.#stream = stream;
    this.#isTerminal = stream.isTTY === true;
    this.#colours = pc.createColors(this.#isTerminal && pc.isColorSupported);
  }

  /** Called after each step. */
  step(unit: string, report: ShownStep, now: number = performance.now()): void {
    this.#clock(now);
    const one = this.#update(unit, report);
    const isDone = one.step >= this.#options.steps;
    if (now - this.#shownAt < (this.#isTerminal ? terminalMs : plainMs) && !isDone) return;
    this.#shownAt = now;
    const line = this.#line(unit, one, now);
    this.#stream.write(this.#isTerminal ? `\r\x1b[2K${line}` : `${line}\n`);
    this.#isOpen = this.#isTerminal;
  }

  /** Ends the line that is being written over, for other text; the time until the next step is not counted as a step's. */
  pause(): void {
    if (this.#isOpen) this.#stream.write("\n");
    this.#isOpen = false;
    this.#lastStepAt = undefined;
  }

  #clock(now: number): void {
    if (this.#stepsHere === 0) this.#started = now;
    else if (this.#lastStepAt !== undefined) {
      const seconds = (now - this.#lastStepAt) / 1000;
      this.#secondsPerStep += (this.#secondsPerStep === 0 ? 1 : rate) * (seconds - this.#secondsPerStep);
    }
    this.#stepsHere++;
    this.#lastStepAt = now;
  }

  #update(unit: string, { step, loss, metrics }: ShownStep): UnitProgress {
    const accuracy = metrics.accuracy ?? Number.NaN;
    const one = this.#units.get(unit) ?? { step, loss, accuracy };
    one.step = step;
    one.loss += rate * (loss - one.loss);
    one.accuracy += rate * (accuracy - one.accuracy);
    this.#units.set(unit, one);
    return one;
  }

  #line(unit: string, { step, loss, accuracy }: UnitProgress, now: number): string {
    const { steps, samplesPerStep, samples } = this.#options;
    const share = Math.floor((20 * step) / steps);
    const bar = this.#isTerminal ? `${this.#colours.cyan("█".repeat(share))}${this.#colours.dim("░".repeat(20 - share))} ` : "";
    const parts = [
      `step ${step}/${steps}`,
      `loss ${loss.toFixed(4)}`,
      ...(Number.isNaN(accuracy) ? [] : [`accuracy ${(100 * accuracy).toFixed(1)} %`]),
      `${this.#secondsPerStep > 0 ? (samplesPerStep / this.#secondsPerStep).toFixed(0) : "…"} ${samples}/s`,
      `${this.#timeLeft(unit, now)} left`,
    ];
    return `${this.#colours.bold(unit)} ${bar}${parts.join("  ")}`;
  }

  /** Units that come before this one and were not heard of are done: they were trained by another process. */
  #timeLeft(unit: string, now: number): string {
    const { units, steps } = this.#options;
    const remaining = units.reduce((sum, name, i) => {
      const done = this.#units.get(name)?.step ?? (i < units.indexOf(unit) ? steps : 0);
      return sum + steps - done;
    }, 0);
    const seconds = (now - this.#started) / 1000;
    return this.#stepsHere < 2 ? "…" : duration((remaining * seconds) / (this.#stepsHere - 1));
  }
}
