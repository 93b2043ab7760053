import { buildMethod, buildOptimizer, parseRunConfig, partsFor, type Registry } from "../define/index.ts";
import { planUnits } from "../measure/index.ts";
import type { Scale, StudyTable } from "./table.ts";

/** What a row of a table costs, predicted from its graphs, on as much data as the published figures were measured on. */
export interface RowCost {
  readonly row: string;
  /** Updates of each unit. */
  readonly updates: number;
  /** Multiplications and additions of one training, all units together. */
  readonly flops: number;
  /** Peak of the process, bytes. */
  readonly peak: number;
}

/** Traces each row of a table at a scale; nothing is run, and no data are read. */
export function tableCosts(registry: Registry, { model, systems, scales, published }: StudyTable, scale: Scale): readonly RowCost[] {
  return systems(scale, registry).map(({ name, method: methodName, overrides }) => {
    const config = parseRunConfig(registry, partsFor(registry, model, methodName, [scales[scale], overrides]));
    const { task } = registry.model(model);
    const method = buildMethod(registry, config, task.shapeOf({ ...task.commonInfo, ...published.info }, config.data));
    const { epochs, batchSize, accumulate, checkpointing, parts, emaDecay } = config.training;
    const { perUnit, peak } = planUnits(method, {
      batchSize,
      optimizer: buildOptimizer(config),
      ema: emaDecay !== undefined,
      checkpointing,
      parts,
    });
    const samples = published.amount / task.countedPerSample(config.data);
    const updates = Math.floor((epochs * samples) / (batchSize * accumulate));
    return { row: name, updates, flops: perUnit.reduce((sum, { flops }) => sum + flops, 0) * updates * accumulate, peak };
  });
}
