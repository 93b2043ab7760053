import pc from "picocolors";

/** Data goes to stdout. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Data for programs, on stdout. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

/** What people read while they wait: stderr. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function bytes(count: number): string {
  return count < 1e9 ? `${(count / 1e6).toFixed(1)} MB` : `${(count / 1e9).toFixed(2)} GB`;
}

export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s` : `${(seconds / 3600).toFixed(1)} h`;
}

export interface StepLine {
  readonly unit: string;
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly accuracy: number | undefined;
  readonly itemsPerStep: number;
}

const terminalMs = 100;
const plainMs = 10_000;

/**
 * Progress of training: one line that is written over on a terminal, a plain line every ten seconds elsewhere.
 * Loss and accuracy are running means, so that a line says something.
 */
export class Progress {
  private unit = "";
  private started = 0;
  private firstStep = 0;
  private shown = 0;
  private loss = 0;
  private accuracy = 0;
  private readonly isTerminal = process.stderr.isTTY === true;

  step({ unit, step, steps, loss, accuracy = Number.NaN, itemsPerStep }: StepLine): void {
    const now = performance.now();
    if (unit !== this.unit) {
      this.end();
      Object.assign(this, { unit, started: now, firstStep: step, loss, accuracy });
    }
    this.loss += 0.05 * (loss - this.loss);
    this.accuracy += 0.05 * (accuracy - this.accuracy);
    if (now - this.shown < (this.isTerminal ? terminalMs : plainMs) && step !== steps) return;
    this.shown = now;
    const rate = (step - this.firstStep) / Math.max(1e-9, (now - this.started) / 1000);
    const left = rate > 0 ? duration((steps - step) / rate) : "…";
    const share = Math.floor((20 * step) / steps);
    const bar = this.isTerminal ? `${pc.cyan("█".repeat(share))}${pc.dim("░".repeat(20 - share))} ` : "";
    const text = `${pc.bold(unit)} ${bar}step ${step}/${steps}  loss ${this.loss.toFixed(4)}  accuracy ${(100 * this.accuracy).toFixed(1)} %  ${(rate * itemsPerStep).toFixed(0)} items/s  ${left} left`;
    process.stderr.write(this.isTerminal ? `\r\x1b[2K${text}` : `${text}\n`);
  }

  /** Ends the line that is being written over. */
  end(): void {
    if (this.isTerminal && this.unit !== "") process.stderr.write("\n");
    this.unit = "";
  }
}
