export * from "./build.ts";
export * from "./demo.ts";
export * from "./evaluate.ts";
export { type RunReport, runReport } from "./report.ts";
export * from "./run.ts";
export * from "./runConfig.ts";
