import type { ProgressStream } from "./progress.ts";

/**
 * The output of several processes, each of which trains a unit, on one terminal: a row for each unit, written over as it goes on, below
 * all other lines. Where there is no terminal every line is written with the name of its unit.
 */
export class UnitRows {
  readonly #stream: ProgressStream;
  readonly #rows = new Map<string, string>();
  #shown = 0;

  constructor(stream: ProgressStream = process.stderr) {
    this.#stream = stream;
  }

  /** A line that the process of a unit wrote. Lines of progress begin with the unit's name and "step". */
  line(unit: string, text: string): void {
    if (!this.#stream.isTTY) this.#stream.write(`[${unit}] ${text}\n`);
    else if (text.startsWith(`${unit} step `)) {
      this.#rows.set(unit, text);
      this.#draw();
    } else this.above(`[${unit}] ${text}`);
  }

  /** Any other line: it stays, above the rows. */
  above(text: string): void {
    this.#erase();
    this.#stream.write(`${text}\n`);
    this.#draw();
  }

  #erase(): void {
    if (this.#shown > 0) this.#stream.write(`\x1b[${this.#shown}A\x1b[J`);
    this.#shown = 0;
  }

  #draw(): void {
    if (!this.#stream.isTTY || this.#rows.size === 0) return;
    this.#erase();
    const rows = [...this.#rows].sort(([a], [b]) => new Intl.Collator("en", { numeric: true }).compare(a, b));
    // A row that wraps would be two: what does not fit is cut off.
    const width = (this.#stream.columns ?? 80) - 1;
    this.#stream.write(rows.map(([, text]) => `${text.slice(0, width)}\n`).join(""));
    this.#shown = rows.length;
  }
}
