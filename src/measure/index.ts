export * from "./plan.ts";
export * from "./bench.ts";
