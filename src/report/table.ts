import { formatNumber } from "./number.ts";

/** A cell: nothing, a text, a number, or a number that is written in a way of its own ("93.1 ± 0.4"). */
export type Cell = null | string | number | { readonly text: string; readonly value: number };

export interface Column {
  readonly title: string;
  /** Right for columns of numbers, left otherwise, by default. */
  readonly align?: "left" | "right";
  /** Whether the largest or the smallest number of the column is the best; it is marked where more than one row has a number. */
  readonly best?: "min" | "max";
  /** An explanation of the column: a tooltip in HTML. */
  readonly hint?: string;
}

export interface Table {
  readonly columns: readonly (string | Column)[];
  readonly rows: readonly (readonly Cell[])[];
}

/** A table with all decisions made: texts, sides, and which cells are the best of their column. */
export interface LaidOutTable {
  readonly columns: readonly (Column & { readonly align: "left" | "right" })[];
  readonly rows: readonly (readonly { readonly text: string; readonly isBest: boolean }[])[];
}

export function layOut({ columns, rows }: Table): LaidOutTable {
  const laidOut = columns.map((given, index) => {
    const column = typeof given === "string" ? { title: given } : given;
    const cells = rows.map((row) => row[index] ?? null).filter((cell) => cell !== null);
    const isNumeric = cells.length > 0 && cells.every((cell) => typeof cell !== "string");
    return { ...column, align: column.align ?? (isNumeric ? ("right" as const) : ("left" as const)) };
  });
  const bests = laidOut.map(({ best }, index) => {
    const values = rows.map((row) => numberOf(row[index] ?? null)).filter((value) => !Number.isNaN(value));
    return best === undefined || values.length < 2 ? NaN : best === "min" ? Math.min(...values) : Math.max(...values);
  });
  return {
    columns: laidOut,
    rows: rows.map((row) =>
      laidOut.map((_, index) => ({ text: textOf(row[index] ?? null), isBest: numberOf(row[index] ?? null) === bests[index] })),
    ),
  };
}

/**
 * A table as plain text for a terminal: aligned columns under a rule. The best number of a column that has one carries a star.
 */
export function renderTable(columns: Table["columns"], rows: Table["rows"]): string {
  const table = layOut({ columns, rows });
  const hasStars = table.columns.map((_, index) => table.rows.some((row) => row[index]!.isBest));
  const body = table.rows.map((row) => row.map(({ text, isBest }, index) => oneLine(text) + (hasStars[index] ? (isBest ? "*" : " ") : "")));
  const head = table.columns.map(({ title }, index) => oneLine(title) + (hasStars[index] ? " " : ""));
  const widths = head.map((title, index) => Math.max(displayWidth(title), ...body.map((row) => displayWidth(row[index]!))));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => {
        const space = " ".repeat(widths[index]! - displayWidth(cell));
        return table.columns[index]!.align === "right" ? space + cell : cell + space;
      })
      .join("  ")
      .trimEnd();
  return [line(head), widths.map((width) => "─".repeat(width)).join("  "), ...body.map(line)].join("\n");
}

/** A table as CSV (RFC 4180): numbers in full precision, the number of a cell rather than its text. */
export function renderCsv(columns: Table["columns"], rows: Table["rows"]): string {
  const titles = columns.map((column) => (typeof column === "string" ? column : column.title));
  const values = rows.map((row) => titles.map((_, index) => csvValue(row[index] ?? null)));
  return `${[titles, ...values].map((cells) => cells.map(csvField).join(",")).join("\r\n")}\r\n`;
}

function csvValue(cell: Cell): string {
  if (cell === null || typeof cell === "string") return cell ?? "";
  return String(typeof cell === "number" ? cell : cell.value);
}

function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function textOf(cell: Cell): string {
  if (cell === null) return "–";
  if (typeof cell === "string") return cell;
  return typeof cell === "number" ? formatNumber(cell) : cell.text;
}

function numberOf(cell: Cell): number {
  if (cell === null || typeof cell === "string") return NaN;
  return typeof cell === "number" ? cell : cell.value;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ");
}

/** Columns of a terminal that a text takes: East Asian characters and pictures take two, combining marks none. */
function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) {
    if (/\p{Mark}|\u200d/u.test(character)) continue;
    width += /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u.test(
      character,
    )
      ? 2
      : 1;
  }
  return width;
}
