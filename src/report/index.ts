/** Results as people read them: a page of HTML, a table in the terminal, a CSV file. Nothing here touches a disk. */
export type { Chart, Series } from "./chart.ts";
export { formatNumber } from "./number.ts";
export { type Picture, type ReportData, renderReport, type Section } from "./report.ts";
export { type Cell, type Column, renderCsv, renderTable, type Table } from "./table.ts";
