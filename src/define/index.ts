/** Models, methods and tasks as values, and the configuration of a run as the composition of their options. */

export { z } from "zod";
export { checkOptions } from "./check.ts";
export * from "./kinds.ts";
export * from "./method.ts";
export * from "./model.ts";
export { nearest } from "./nearest.ts";
export * from "./option.ts";
export * from "./overrides.ts";
export * from "./registry.ts";
export * from "./runConfig.ts";
export * from "./task.ts";
export * from "./training.ts";
export * from "./updates.ts";
