/** Comparisons of systems: the tables of the paper, the demo, features to judge images by. */
export { type CompareOptions, type Comparison, compare, runsMade } from "./compare.ts";
export type { ComparedRun, ComparedSystem, ExtraColumn, FidMeasure } from "./comparedRun.ts";
export { type DemoListener, type DemoOptions, type DemoResult, type DemoRow, demo, demoConfig } from "./demo.ts";
export { exportFeatures, type TrainFeaturesOptions, trainFeatures } from "./features.ts";
export { type AbsentRow, absentControls, atBudgets, controlsOf, systemsNamed } from "./systems.ts";
export { type Scale, type StudyTable, scales } from "./table.ts";
export { type RowCost, tableCosts } from "./tableCosts.ts";
export { studyTables } from "./tables/index.ts";
export {
  type ChosenValue,
  type TunedOption,
  type Tuning,
  type TuningTrial,
  tunedOptions,
  validationTitle,
} from "./tune.ts";
