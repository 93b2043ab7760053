import type { StudyTable } from "../table.ts";
import { blockCountTable, cutsTable, ditTable, overlapTable } from "./dit.ts";
import { noPropTable } from "./noProp.ts";
import { languageBlocksTable, languageTable, maskedTable, recurrentTable } from "./text.ts";
import { checkpointingTable, tinyImageNetTable, vitTable } from "./vit.ts";

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
  languageBlocksTable,
  recurrentTable,
  tinyImageNetTable,
  checkpointingTable,
];
