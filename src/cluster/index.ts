export { type PoolOptions, type PoolTask, runPool } from "./pool.ts";
