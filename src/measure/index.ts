export * from "./bench.ts";
export * from "./plan.ts";
