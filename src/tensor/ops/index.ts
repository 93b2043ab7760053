export * from "./attention.ts";
export * from "./elementwise.ts";
export * from "./indexing.ts";
export * from "./linalg.ts";
export * from "./movement.ts";
export * from "./normalization.ts";
export * from "./pool.ts";
export * from "./reduce.ts";
