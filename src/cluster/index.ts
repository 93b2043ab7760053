/** Processes on this machine. */
export { type PoolOptions, type PoolResult, type PoolTask, runPool } from "./pool.ts";
export { findPytorch, type PytorchProcess, startPytorch } from "./pytorch.ts";
