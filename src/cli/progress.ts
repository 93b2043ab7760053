import pc from "picocolors";
import { duration } from "./output.ts";

export interface ProgressOptions {
  /** Names of the units that are trained, in their order. */
  readonly units: readonly string[];
  /** Steps of each. */
  readonly steps: number;
  /** Units of data in a step, and their name in the plural: images, tokens. */
  readonly countPerStep: number;
  readonly counted: string;
  /** Of the loss, such as nats; none by default. */
  readonly lossUnit?: string | undefined;
  /** Seconds between lines where there is no terminal; 10 by default. */
  readonly plainSeconds?: number | undefined;
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
  /** Columns of a terminal, as they are now. */
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

const terminalMs = 100;
const barLength = 20;
/** Share of the newest value in running means. */
const rate = 0.05;

/**
 * Progress of training: one line that is written over on a terminal, a plain line every ten seconds elsewhere. Loss,
 * accuracy and speed are running means; the time left is that of all units together. The line of a terminal fits its
 * width, also when that changes: the bar becomes shorter, then what matters least is left out.
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
    const interval = this.#isTerminal ? terminalMs : 1000 * (this.#options.plainSeconds ?? 10);
    if (now - this.#shownAt < interval && !isDone) return;
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
    const { steps, countPerStep, counted, lossUnit } = this.#options;
    const left = this.#timeLeft(unit, now);
    const parts = [
      `step ${step}/${steps}`,
      `loss ${loss.toFixed(4)}${lossUnit === undefined ? "" : ` ${lossUnit}`}`,
      ...(left === undefined ? [] : [`${left} left`]),
      ...(Number.isNaN(accuracy) ? [] : [`accuracy ${(100 * accuracy).toFixed(1)} %`]),
      ...(this.#secondsPerStep > 0 ? [`${(countPerStep / this.#secondsPerStep).toFixed(0)} ${counted}/s`] : []),
    ];
    if (!this.#isTerminal) return [unit, parts.join("  ")].join(" ");
    // The last column stays free: some terminals wrap when it is written.
    const room = (this.#stream.columns ?? 80) - 1 - unit.length;
    while (parts.length > 1 && parts.join("  ").length + 1 > room) parts.pop();
    const text = parts.join("  ").slice(0, Math.max(0, room - 1));
    const bar = Math.min(barLength, room - text.length - 2);
    if (bar < 5) return `${this.#colours.bold(unit)} ${text}`;
    const share = Math.floor((bar * step) / steps);
    return `${this.#colours.bold(unit)} ${this.#colours.cyan("█".repeat(share))}${this.#colours.dim("░".repeat(bar - share))} ${text}`;
  }

  /**
   * Undefined before the second step. Units that come before this one and were not heard of are done: they were
   * trained by another process.
   */
  #timeLeft(unit: string, now: number): string | undefined {
    const { units, steps } = this.#options;
    const remaining = units.reduce((sum, name, i) => {
      const done = this.#units.get(name)?.step ?? (i < units.indexOf(unit) ? steps : 0);
      return sum + steps - done;
    }, 0);
    const seconds = (now - this.#started) / 1000;
    return this.#stepsHere < 2 ? undefined : duration((remaining * seconds) / (this.#stepsHere - 1));
  }
}
