import type { AnyTask, Registry, Task } from "../define/index.ts";
import { UsageError } from "../errors.ts";
import type { TrainedModel } from "../inference/index.ts";
import { registry as builtIn } from "../registry/index.ts";
import type { TrainingMethod } from "../train/index.ts";
import { type DeviceChoice, deviceOf, loadParameters, openTrainedRun } from "./trainedRun.ts";

export interface LoadRunOptions<Model extends TrainedModel> extends DeviceChoice {
  /** What the run must be for: it types the model. */
  // biome-ignore lint/suspicious/noExplicitAny: only the model that a task makes counts here.
  readonly task?: Task<any, any, any, any, any, Model, any>;
  /** Samples that the network is asked about at once. */
  readonly batchSize?: number;
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
export async function loadRun<Model extends TrainedModel>(path: string, options: LoadRunOptions<Model> = {}): Promise<Model> {
  const { registry = builtIn, task, batchSize } = options;
  const run = await openTrainedRun(registry, path);
  if (task !== undefined && run.task !== task) throw otherTask(path, run.config.model.name, run.task, task);
  const values = await loadParameters(run);
  const device = await deviceOf(run, options);
  const trained = (run.task as AnyTask).trained as (method: TrainingMethod, info: object, use: object) => Model;
  return trained(run.method, run.info, { device, values, ownsDevice: true, ...(batchSize !== undefined && { batchSize }) });
}

function otherTask(path: string, model: string, own: AnyTask, wanted: Pick<AnyTask, "name">): UsageError {
  return new UsageError(
    "otherTask",
    { model, task: own.name },
    `${path} is a ${model}, which is for ${own.name} and not for ${wanted.name}.`,
  );
}
