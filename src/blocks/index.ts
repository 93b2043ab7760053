export * from "./block.ts";
export * from "./bridge.ts";
export * from "./convert.ts";
export * from "./levels.ts";
export * from "./objective.ts";
export * from "./official.ts";
export * from "./predict.ts";
export * from "./targets.ts";
