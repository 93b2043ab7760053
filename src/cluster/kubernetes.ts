import { shellCommand } from "./shell.ts";

export interface KubernetesRun {
  readonly name: string;
  /** The run's folder, below `mount`. */
  readonly path: string;
  readonly model: string;
  readonly units: readonly string[];
  /** Words after the command: plugins. */
  readonly args: readonly string[];
  /** An image in which `dblocks` is on the path. */
  readonly image: string;
  /** A claim of a volume that all pods can write, and where it is mounted. */
  readonly claim: string;
  readonly mount: string;
  readonly cpus?: number | undefined;
  /** Such as "4Gi". */
  readonly memory?: string | undefined;
  readonly gpus?: number | undefined;
}

/** Exit codes of a pod after which another try cannot help: a wrong option, damaged data, a newer owner. */
const finalCodes = [2, 42, 76];
/** Exit codes of a pod that saved because it was told to: it is started again, and that is no failure. */
const savedCodes = [75, 129, 130, 143];

/**
 * The Indexed Job that trains a run, one pod for each unit, as a JSON document that `kubectl apply -f -` takes. A pod resumes by itself;
 * one that is evicted saves at SIGTERM and is made again. Pods exchange nothing.
 *
 * @see https://kubernetes.io/docs/concepts/workloads/controllers/job/ (batch/v1; podFailurePolicy and backoffLimitPerIndex need 1.33, or
 *   their feature gates)
 */
export function kubernetesJob(run: KubernetesRun): object {
  const { name, path, model, units, args, image, claim, mount, cpus = 1, memory, gpus } = run;
  const train = `${shellCommand(["dblocks", "train", model, "--run", path, "--threads", String(cpus), ...args])} --units "$1"`;
  const amounts = { cpu: String(cpus), ...(memory && { memory }), ...(gpus && { "nvidia.com/gpu": String(gpus) }) };
  const onExitCodes = (values: readonly number[]) => ({ containerName: "train", operator: "In", values });
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name },
    spec: {
      completionMode: "Indexed",
      completions: units.length,
      parallelism: units.length,
      backoffLimitPerIndex: 3,
      maxFailedIndexes: units.length,
      podFailurePolicy: {
        rules: [
          { action: "FailIndex", onExitCodes: onExitCodes(finalCodes) },
          { action: "Ignore", onExitCodes: onExitCodes(savedCodes) },
          { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
        ],
      },
      template: {
        spec: {
          restartPolicy: "Never",
          terminationGracePeriodSeconds: 120,
          containers: [
            {
              name: "train",
              image,
              // sh becomes the training process, which then hears SIGTERM itself.
              command: ["/bin/sh", "-c", `set -- ${shellCommand(units)}; shift "$JOB_COMPLETION_INDEX"; exec ${train}`],
              resources: { requests: amounts, limits: amounts },
              volumeMounts: [{ name: "runs", mountPath: mount }],
            },
          ],
          volumes: [{ name: "runs", persistentVolumeClaim: { claimName: claim } }],
        },
      },
    },
  };
}
