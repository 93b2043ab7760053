/** Processes on this machine, and jobs for clusters. */
export { type KubernetesRun, kubernetesJob } from "./kubernetes.ts";
export { type PoolOptions, type PoolResult, type PoolTask, runPool } from "./pool.ts";
export { findPytorch, type PytorchProcess, startPytorch } from "./pytorch.ts";
export { shellCommand } from "./shell.ts";
export { type SlurmJobs, type SlurmResources, type SlurmRun, slurmArray, slurmFinish, submitSlurm } from "./slurm.ts";
export { type SlurmTask, slurmQueue } from "./slurmQueue.ts";
