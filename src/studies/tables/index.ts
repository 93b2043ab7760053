import type { StudyTable } from "../table.ts";
import { blockCountTable, cutsTable, ditTable, overlapTable } from "./dit.ts";
import { noPropTable } from "./noProp.ts";
import { languageTable, maskedTable, recurrentTable } from "./text.ts";
import { vitTable } from "./vit.ts";

/** The tables that `dblocks reproduce` makes. */
export const studyTables: readonly StudyTable[] = [
  vitTable,
  noPropTable,
  ditTable,
  cutsTable,
  blockCountTable,
  overlapTable,
  maskedTable,
  languageTable,
  recurrentTable,
];
