import type { TextInfo } from "../data/index.ts";
import { type ConfigPart, parseRunConfig, type Registry, type RunConfig } from "../define/index.ts";
import { UsageError } from "../errors.ts";
import { takenOver } from "../exchange/index.ts";
import { isLanguageModel } from "../inference/index.ts";
import { folderStore } from "../run/index.ts";
import { startArrays, UnitState } from "../train/index.ts";
import { prepareRun } from "./prepare.ts";
import { loadParameters, openTrainedRun } from "./trainedRun.ts";

export interface StartFinetuningOptions {
  readonly registry: Registry;
  /** The run of a language model that was trained end to end, here or elsewhere: see {@link importRun}. */
  readonly from: string;
  /** Folder of the new run. */
  readonly path: string;
  readonly dataPath: string;
  /** Blocks that the layers are cut into; undefined: they go on end to end. */
  readonly numBlocks: number | undefined;
  /** Rank of adapters, all that was pretrained standing still: see {@link lowRank}. */
  readonly lora?: number | undefined;
  /** Blocks that learn, by name or number, while the others stay as they are; all by default. */
  readonly units?: readonly string[] | undefined;
  /** More of its configuration. */
  readonly overrides?: ConfigPart;
}

/**
 * Starts a run that fine-tunes a pretrained language model, in blocks or end to end. Before its first step it answers as the pretrained
 * network does. Each block then learns on denoising and on the next-token cross-entropy behind the whole network, the other blocks standing
 * still, one after the other: block-coordinate descent on the loss of ordinary training, with the gradients and the optimiser's state of one
 * block in memory. `trainRun` with the returned configuration goes on.
 *
 * @throws {UsageError} if the run is no language model trained end to end, or the folder holds another run.
 */
export async function startFinetuning({
  registry,
  from,
  path,
  dataPath,
  numBlocks,
  lora,
  units,
  overrides = {},
}: StartFinetuningOptions): Promise<RunConfig> {
  const pretrained = await openTrainedRun(registry, from);
  const { model, method, data } = pretrained.config;
  if (!isLanguageModel(pretrained.method) || method.name !== "end-to-end" || model.name !== "autoregressive") {
    const message = `${from} is ${model.name}, ${method.name}; what is fine-tuned is autoregressive, trained end to end.`;
    throw new UsageError("notPretrained", { model: model.name, method: method.name }, message);
  }
  const inBlocks = { name: "blocks", numBlocks, context: "stacked", nextTokenWeight: 1, nextTokenPlace: "network", turns: "block" };
  const goesOn = numBlocks === undefined ? { name: "end-to-end" } : { ...inBlocks, sampling: { readout: "next-token" } };
  const { name: _, path: __, ...options } = data;
  const asked = {
    model: { ...model, ...(lora !== undefined && { lora }) },
    method: goesOn,
    data: { ...options, path: dataPath },
    training: { ...(units && { units }) },
  } as ConfigPart;
  const config = parseRunConfig(registry, [asked, overrides]);
  const prepared = await prepareRun({ registry, path, config, onNotice: () => {} });
  checkTokenizer(from, pretrained.info as TextInfo, prepared.task.infoOf(prepared.data) as TextInfo);
  if ((await prepared.folder.units()).length > 0) return config;
  const values = await loadParameters(pretrained);
  const store = folderStore(prepared.folder, { configHash: prepared.hash, keepLast: config.execution.keepLast });
  const all = prepared.method.units;
  const states = all.map((unit) => new UnitState(unit, { seed: config.training.seed, slots: [], ema: false }));
  const initial = (path_: string): Float32Array => states.find(({ parameters }) => parameters.has(path_))!.parameters.get(path_)!.value;
  const taken = takenOver(pretrained.method, values, prepared.method, initial);
  for (const unit of all)
    await (await store.openUnit(unit.name)).save({
      step: 0,
      arrays: startArrays(unit, (own) => taken.get(own)!),
      metadata: { updates: "0" },
    });
  for (const state of states) state.dispose();
  return config;
}

function checkTokenizer(from: string, pretrained: TextInfo, data: TextInfo): void {
  const tokensOf = ({ tokenizer }: TextInfo): string => JSON.stringify({ ...tokenizer, name: "" }); // a file may have been renamed
  if (tokensOf(pretrained) === tokensOf(data)) return;
  const message = `${from} reads other tokens than the data are written in. Give its tokenizer with --tokenizer: text8, bytes or its tokenizer.json.`;
  throw new UsageError("otherTokenizer", {}, message);
}
