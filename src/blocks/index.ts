export * from "./assign.ts";
export * from "./block.ts";
export * from "./bridge.ts";
export * from "./convert.ts";
export * from "./levels.ts";
export * from "./predict.ts";
export * from "./targets.ts";
