import { basename, join } from "node:path";
import { type CsvError, parse } from "csv-parse/sync";
import { checkFinite, checkLabels, type ImageDataset, type ImageSplit, labelledDataset, readLimits } from "../data/index.ts";
import { DataError } from "../errors.ts";
import { classesOf, labelColumn } from "./columns.ts";
import type { ImageFormat } from "./imageFormat.ts";
import { wholeFile } from "./wholeFile.ts";

const csvName = /\.(csv|tsv)$/i;

/** Parts of a folder, as people name them. */
const trainName = /^train(ing)?\.(csv|tsv)$/i;
const testName = /^(test|val(id(ation)?)?)\.(csv|tsv)$/i;

/**
 * Tables of numbers with a column of classes: a .csv or .tsv file with a line of names, or a folder with train.csv and test.csv.
 * Samples are [columns, 1, 1].
 */
export const csvFormat: ImageFormat = {
  name: "csv",
  description: "a .csv of numbers with a column of classes (--label), or a folder with train.csv and test.csv",
  recognises: (path, files) => (files === undefined ? csvName.test(path) : files.some((name) => trainName.test(name))),
  load: async (path, { files, limits, valSplit, label }) => {
    const train = files.find((name) => trainName.test(name));
    const test = files.find((name) => testName.test(name));
    const tables = [await tableOf(train === undefined ? path : join(path, train), label)];
    if (test !== undefined) tables.push(await tableOf(join(path, test), label));
    return datasetOf(path, tables, limits.classes, valSplit);
  },
};

interface Table {
  readonly path: string;
  readonly columns: readonly string[];
  readonly label: string;
  readonly numbers: Float32Array;
  readonly classes: readonly string[];
}

async function tableOf(path: string, named: string | undefined): Promise<Table> {
  const bytes = await wholeFile(path, readLimits.parsedLength);
  const [header, ...rows] = rowsOf(path, bytes);
  if (header === undefined || rows.length === 0) {
    throw new DataError("empty", { path }, `${path} is empty: expected is a line of names, and a line for each sample.`);
  }
  if (!header.some((name) => Number.isNaN(Number(name)))) {
    const message = `${path}: the first line, ${header.slice(0, 4).join(",")}, is no line of names. Write one above it.`;
    throw new DataError("noHeader", { path }, message);
  }
  const at = labelColumn(header, named);
  if (at === undefined) {
    const what = named === undefined ? "no column is named label, class, target or y" : `there is no column ${named}`;
    const message = `${path}: ${what}; its columns are ${header.slice(0, 10).join(", ")}. Name the one of the classes: --label ${header.at(-1)}`;
    throw new DataError("noLabel", { path, columns: header.slice(0, 10) }, message);
  }
  const columns = header.filter((_, column) => column !== at);
  const numbers = new Float32Array(rows.length * columns.length);
  let place = 0;
  for (const [row, cells] of rows.entries())
    for (const [column, cell] of cells.entries()) {
      if (column === at) continue;
      const value = cell.trim() === "" ? Number.NaN : Number(cell);
      if (!Number.isFinite(value)) {
        const message = `${path}, line ${row + 2}, column ${header[column]}: ${JSON.stringify(cell.slice(0, 40))} is no finite number. Write numbers only; leave out columns of text.`;
        throw new DataError("notNumber", { path, line: row + 2, column: header[column] }, message);
      }
      numbers[place++] = value;
    }
  checkFinite(path, "a column", numbers, rows.length);
  return { path, columns, label: header[at]!, numbers, classes: rows.map((cells) => cells[at]!) };
}

function rowsOf(path: string, bytes: Buffer): string[][] {
  try {
    return parse(bytes, { bom: true, skip_empty_lines: true, delimiter: /\.tsv$/i.test(path) ? "\t" : [",", ";"], trim: true });
  } catch (cause) {
    const { message: reason, lines } = cause as CsvError & { lines?: number };
    throw new DataError("badCsv", { path, line: lines }, `${path} is no table: ${reason}. Mend that line.`, { cause });
  }
}

function datasetOf(path: string, tables: readonly Table[], maxClasses: number, valSplit: number): ImageDataset {
  const [train, test] = tables as [Table, Table | undefined];
  if (test !== undefined && test.columns.join() !== train.columns.join()) {
    const message = `${test.path} has the columns ${test.columns.slice(0, 10).join(", ")}, ${train.path} ${train.columns.slice(0, 10).join(", ")}. Write both alike.`;
    throw new DataError("columnsDiffer", { path }, message);
  }
  if (train.columns.length === 0) {
    throw new DataError("noColumns", { path }, `${train.path} has the column ${train.label} alone: there is nothing to learn from.`);
  }
  const { labels, names } = classesOf(tables.flatMap(({ classes }) => classes));
  checkLabels(path, train.label, labels, maxClasses);
  let first = 0;
  const splits = tables.map(({ numbers, classes }): ImageSplit => {
    const part = labels.subarray(first, first + classes.length);
    first += classes.length;
    return { images: numbers, labels: part, count: part.length, channels: train.columns.length, height: 1, width: 1 };
  });
  const name = basename(path).replace(csvName, "");
  return labelledDataset({ name, path, classNames: names, train: splits[0]!, test: splits[1], valSplit });
}
