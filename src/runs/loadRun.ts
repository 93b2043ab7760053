import type { Registry, Task } from "../define/index.ts";
import { UsageError } from "../errors.ts";
import type { TrainedModel, TrainedUse } from "../inference/index.ts";
import { registry as builtIn } from "../registry/index.ts";
import { type DeviceChoice, deviceOf, loadParameters, openTrainedRun, type TrainedRun } from "./trainedRun.ts";

export interface TrainedModelOptions<Model extends TrainedModel> extends DeviceChoice {
  /** The task that the run must be for: it types the model. */
  // biome-ignore lint/suspicious/noExplicitAny: only the model that a task makes counts here.
  readonly task?: Task<any, any, any, any, any, Model, any>;
  /** Samples that the network is asked about at once. */
  readonly batchSize?: number | undefined;
  /** Told at every run of a program what its layers attend to. */
  readonly onAttention?: TrainedUse["onAttention"];
}

export interface LoadRunOptions<Model extends TrainedModel> extends TrainedModelOptions<Model> {
  readonly registry?: Registry;
}

/**
 * A trained run as a value; its data are not needed. Dispose of it when it is no longer used.
 *
 * @example
 * await using model = await loadRun("runs/vit", { task: classes });
 * const { labels } = await model.predict(images);
 * @throws {RunError} if there is no run, or a unit is not trained. {UsageError} if the run is for another task.
 */
export async function loadRun<Model extends TrainedModel>(
  path: string,
  { registry = builtIn, ...options }: LoadRunOptions<Model> = {},
): Promise<Model> {
  return trainedModelOf(await openTrainedRun(registry, path), options);
}

/** The same of a run that is open. @throws {RunError} if a unit is not trained. {UsageError} if the run is for another task. */
export async function trainedModelOf<Model extends TrainedModel>(
  run: TrainedRun,
  { task: wanted, batchSize, onAttention, ...choice }: TrainedModelOptions<Model> = {},
): Promise<Model> {
  const { task, method, info, config, folder } = run;
  if (wanted !== undefined && task !== wanted) {
    const message = `${folder.path} is a ${config.model.name}, which is for ${task.name} and not for ${wanted.name}.`;
    throw new UsageError("otherTask", { model: config.model.name, task: task.name }, message);
  }
  const values = await loadParameters(run);
  return task.trained(method, info, { device: await deviceOf(run, choice), values, batchSize, onAttention, ownsDevice: true }) as Model;
}
