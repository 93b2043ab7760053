/** The part of this room that needs Node: cores and memory of the process. */
export { availableParallelism as cpuCount } from "node:os";
export type { PeakMemory } from "./memory.ts";
export { availableBytes, measurePeak, residentBytes, watchPeak } from "./memory.ts";
