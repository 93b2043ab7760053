import {
  type AnyTask,
  blockOfSigma,
  buildMethod,
  buildOptimizer,
  buildSchedule,
  type ConfigPart,
  checkpointName,
  encodeCheckpoint,
  evaluationInterval,
  type ImageDataset,
  type ImageInfo,
  identityOf,
  isNoisePartition,
  openDevice,
  parameterCount,
  parseMetrics,
  parseRunConfig,
  planUnit,
  type RunConfig,
  registry,
  resolveConfig,
  sigmaQuantile,
  type TrainedClassifier,
  type TrainedImageModel,
  type TrainedTextModel,
  type TrainingMethod,
  train,
  UsageError,
  z,
} from "diffusion-blocks";
import { attention } from "./attention.ts";
import { browserStore, hashOf, newestState, readText, runFolder, writeFile } from "./browserRun.ts";
import { exportRun, importFiles, keptConfig, savedValues, writeRunFiles } from "./exchange.ts";
import { pictureOf, type Run, testPicture } from "./openRun.ts";
import { loadOwnData } from "./ownData.ts";
import type {
  Answers,
  Description,
  LossAtLevel,
  Message,
  Opened,
  Picture,
  Request,
  RequestName,
  Requests,
  RevealFrame,
  StepEvent,
  WalkFrame,
} from "./protocol.ts";
import { kinds, type ModelName } from "./settings.ts";

z.config({ jitless: true }); // the page's policy forbids code that is made from text

const port = globalThis as unknown as {
  postMessage(message: Message, transfer?: Transferable[]): void;
  onmessage: (event: MessageEvent<Request>) => void;
};

let run: Run | undefined;
let training: { readonly abort: AbortController; readonly ended: Promise<unknown> } | undefined;

function current(): Run {
  if (run !== undefined) return run;
  throw new UsageError("noRun", {}, "There is no run yet. Start one on the page Train.");
}

/** How a method cuts its network and what its steps will need; it is traced, and nothing is computed. */
function describe(config: RunConfig, method: TrainingMethod): Description {
  const { batchSize, checkpointing, emaDecay } = config.training;
  const options = { batchSize, optimizer: buildOptimizer(config), ema: emaDecay !== undefined, checkpointing };
  const { partition } = method;
  return {
    units: method.units.map(({ name }) => name),
    axis: partition === undefined || isNoisePartition(partition) ? "sigma" : "time",
    ranges: partition?.ranges ?? [],
    trainingRanges: partition?.trainingRanges ?? [],
    layersPerBlock: method.layersPerBlock ?? [],
    memory: method.units.map((unit) => {
      const { parameters, gradients, optimizer, activations } = planUnit(method, unit, options);
      return { unit: unit.name, parameters, gradients, optimizer, activations };
    }),
    parameters: method.units.reduce((sum, { trainable }) => sum + parameterCount(trainable), 0),
  };
}

async function open({ run: name, config: given, backend, threads }: Requests["open"]["ask"]): Promise<Opened> {
  const folder = await runFolder(name, { create: given !== undefined });
  const kept = await keptConfig(folder, name);
  const asked = kept ?? given;
  if (asked === undefined) throw new UsageError("noRun", { name }, `This browser keeps no run "${name}".`);
  if (!Object.hasOwn(kinds, asked.model.name)) {
    const message = `The studio trains ${Object.keys(kinds).join(", ")}; train ${asked.model.name} further with dblocks train.`;
    throw new UsageError("otherModel", { model: asked.model.name }, message);
  }
  const { task } = resolveConfig(registry, asked);
  const data = await loadOwnData(kinds[asked.model.name as ModelName].modality, asked.data.path);
  const config: RunConfig = { ...asked, data: { ...asked.data, name: data.name } };
  const info = task.infoOf(data);
  const method = buildMethod(registry, config, task.shapeOf(info, config.data), data);
  const { steps } = scheduleOf(config, task, data);
  if (kept === undefined) await writeRunFiles(folder, { config, info: info as { readonly name: string }, method });
  const device = await openDevice(backend, { threads });
  run = { name, config, folder, task, data, info, method, device };
  return {
    ...describe(config, method),
    config,
    classNames: (info as Partial<ImageInfo>).classNames ?? [],
    lossUnit: task.lossUnit,
    steps,
    done: await savedSteps(run),
    records: parseMetrics((await readText(folder, "metrics.jsonl")) ?? ""),
    device: device.name,
    threads: device.threads,
  };
}

function scheduleOf(config: RunConfig, task: AnyTask, data: unknown) {
  const batches = task.batches(data, config.data, config.training);
  return { batches, ...buildSchedule(config, batches.stepsPerEpoch) };
}

async function savedSteps({ folder, method }: Run): Promise<Record<string, number>> {
  const done: Record<string, number> = {};
  for (const { name } of method.units) done[name] = (await newestState(folder, name))?.step ?? 0;
  return done;
}

/** Trains until all steps are made, or until a pause, which saves every unit: resuming is starting from what was saved. */
async function trainRun({ once }: Requests["train"]["ask"]): Promise<Requests["train"]["answer"]> {
  const { config, folder, task, data, method, device } = current();
  if (training !== undefined) throw new UsageError("busy", {}, "This run is in training already.");
  const abort = new AbortController();
  const events = stepEvents();
  const work = async () => {
    const hash = await hashOf(identityOf(registry, config, config.data.name as string));
    const { batches, steps, learningRate } = scheduleOf(config, task, data);
    const { batchSize, seed, accumulate, checkpointing, clipNorm, emaDecay } = config.training;
    return train(method, {
      device,
      batches,
      batchSize,
      steps,
      schedule: config.execution.schedule === "interleaved" ? "interleaved" : "sequential",
      optimizer: buildOptimizer(config),
      learningRate,
      seed,
      checkpointing,
      clipNorm,
      emaDecay,
      accumulate,
      signal: abort.signal,
      store: browserStore(folder, hash),
      keepValues: false,
      logEvery: config.execution.logEvery,
      saveEvery: config.execution.saveEvery,
      onStep: (unit, { step, loss, metrics, gradientNorm, learningRate: rate, stepMs }) => {
        events.add({ unit: unit.name, step, loss, metrics, gradientNorm, learningRate: rate, stepMs });
        if (once) abort.abort();
      },
      evaluate: (unit, values) => task.evaluateUnit(method, unit, data, { device, values, batchSize }),
      evaluateEvery: evaluationInterval(config, batches.stepsPerEpoch),
    });
  };
  const ended = work();
  training = { abort, ended: ended.catch(() => {}) };
  try {
    const { finished } = await ended;
    return { finished, done: await savedSteps(current()) };
  } finally {
    events.flush();
    training = undefined;
  }
}

/** Steps are told to the page some times a second, however many there are. */
function stepEvents(): { add(event: StepEvent): void; flush(): void } {
  let waiting: StepEvent[] = [];
  let last = 0;
  const flush = (): void => {
    if (waiting.length > 0) port.postMessage({ steps: waiting });
    waiting = [];
    last = performance.now();
  };
  return {
    add: (event) => {
      waiting.push(event);
      if (performance.now() - last > 150) flush();
    },
    flush,
  };
}

async function pause(): Promise<null> {
  training?.abort.abort();
  await training?.ended;
  return null;
}

/** Another peak learning rate from here on: the run keeps its weights, and its checkpoints carry the new configuration. */
async function changeRate({ learningRate }: Requests["rate"]["ask"]): Promise<RunConfig> {
  const open = current();
  const config = parseRunConfig(registry, [open.config as ConfigPart, { training: { learningRate } }]);
  const configHash = await hashOf(identityOf(registry, config, config.data.name as string));
  for (const { name } of open.method.units) {
    const state = await newestState(open.folder, name);
    if (state === undefined) continue;
    const { step, arrays, metadata } = state;
    const unitFolder = await open.folder.getDirectoryHandle(name);
    await writeFile(unitFolder, checkpointName(step), await encodeCheckpoint({ unit: name, step, configHash, arrays, metadata }));
  }
  await writeFile(open.folder, "config.json", `${JSON.stringify(config, null, 2)}\n`);
  open.config = config;
  return config;
}

async function evaluate(): Promise<Requests["evaluate"]["answer"]> {
  const { task, method, data, device, config } = current();
  const values = await savedValues(current().folder, current().method);
  const evaluation = await task.evaluate(method, data, { device, values, batchSize: config.training.batchSize, seeds: 1 });
  return { ...task.scoreOf(evaluation), text: task.textOf(evaluation) };
}

/** Levels at which a loss is measured, each in the middle of an equal share of the training noise. */
const numLevels = 12;

async function lossByNoise(): Promise<readonly LossAtLevel[]> {
  const { task, method, data, device } = current();
  const values = await savedValues(current().folder, current().method);
  await using measure = task.lossByLevel(method, data, { device, values, batchSize: 16 });
  if (measure === undefined) return [];
  const { partition } = method;
  const levels: LossAtLevel[] = [];
  for (let i = 0; i < numLevels; i++) {
    const sigma = sigmaQuantile(measure.noise, (i + 0.5) / numLevels);
    const block = partition !== undefined && isNoisePartition(partition) ? blockOfSigma(partition, sigma) : 0;
    levels.push({ sigma, block, loss: await measure.lossAt(sigma, i) });
  }
  return levels;
}

/** What each block says of a test picture alone, from nothing but the picture, and what all say together. */
async function classify({ index }: Requests["classify"]["ask"]): Promise<Answers> {
  const open = current();
  const { task, method, info, device, data } = open;
  const picture = testPicture(open, index);
  await using model = task.trained(method, info, {
    device,
    values: await savedValues(open.folder, open.method),
    batchSize: 1,
  }) as TrainedClassifier;
  const probabilitiesOf = async (one: Pick<TrainedClassifier, "predict">) => Array.from((await one.predict(picture.bytes)).probabilities);
  const answers = [];
  const isOne = method.units.length === 1;
  if (!isOne)
    for (const [i, { name, answersAlone = true }] of method.units.entries())
      if (answersAlone) answers.push({ name, probabilities: await probabilitiesOf(model.block(i)) });
  answers.push({ name: isOne ? "network" : "together", probabilities: await probabilitiesOf(model) });
  return { picture, label: (data as ImageDataset).test.labels[index]!, answers };
}

/** Pictures walking from noise, after each step of the reverse process: what the block at work takes them for. */
async function draw({ count, label, seed, steps }: Requests["draw"]["ask"]): Promise<readonly WalkFrame[]> {
  const { task, method, info, device } = current();
  const values = await savedValues(current().folder, current().method);
  await using model = task.trained(method, info, { device, values, batchSize: count }) as TrainedImageModel;
  const { channels, height, width } = info as ImageInfo;
  const pixels = channels * height * width;
  const picturesOf = (images: Float32Array): Picture[] =>
    Array.from({ length: count }, (_, i) => pictureOf(images.subarray(i * pixels, (i + 1) * pixels), info as ImageInfo));
  const frames: WalkFrame[] = [];
  await model.sample({
    count,
    label,
    seed,
    numSteps: steps,
    onStep: ({ sigma, block, denoised }) => void frames.push({ sigma, block, pictures: picturesOf(denoised) }),
  });
  return frames;
}

/** Texts from masks to words, after each step of the reverse process. */
async function reveal({ count, prompt, seed }: Requests["reveal"]["ask"]): Promise<readonly RevealFrame[]> {
  const { task, method, info, device } = current();
  await using model = task.trained(method, info, {
    device,
    values: await savedValues(current().folder, current().method),
    batchSize: count,
  }) as TrainedTextModel;
  const { tokenizer } = model;
  const symbol = (token: number): string | null => (token === tokenizer.vocabSize ? null : tokenizer.decode([token]));
  const frames: RevealFrame[] = [];
  await model.sample({
    count,
    prompt,
    seed,
    onReveal: ({ time, block, tokens }) => {
      const length = tokens.length / count;
      frames.push({
        time,
        block,
        texts: Array.from({ length: count }, (_, i) => Array.from(tokens.subarray(i * length, (i + 1) * length), symbol)),
      });
    },
  });
  return frames;
}

/** Pauses training for as long as something else is done with what is saved. */
async function between<Answer>(work: () => Promise<Answer>): Promise<Answer> {
  await pause();
  return work();
}

const answers: {
  readonly [Name in RequestName]: (ask: Requests[Name]["ask"]) => Promise<Requests[Name]["answer"]> | Requests[Name]["answer"];
} = {
  describe: ({ config }) => {
    const { task } = resolveConfig(registry, config);
    return describe(config, buildMethod(registry, config, task.shapeOf(task.commonInfo, config.data)));
  },
  open,
  train: trainRun,
  pause,
  rate: (ask) => between(() => changeRate(ask)),
  evaluate: () => between(evaluate),
  lossByNoise: () => between(lossByNoise),
  pictures: ({ count }) => Array.from({ length: count }, (_, i) => testPicture(current(), i)),
  classify: (ask) => between(() => classify(ask)),
  attention: (ask) => between(() => attention(current(), ask)),
  draw: (ask) => between(() => draw(ask)),
  reveal: (ask) => between(() => reveal(ask)),
  export: exportRun,
  import: importFiles,
};

/** The error that was thrown first, where giving back what was in use failed because of it. */
function causeOf(error: unknown): { readonly message: string; readonly code?: string } {
  if (error instanceof SuppressedError) return causeOf(error.suppressed);
  return error instanceof Error ? error : { message: String(error), code: "unknown" };
}

port.onmessage = async ({ data: { id, name, ask } }) => {
  try {
    port.postMessage({ id, answer: await (answers[name] as (ask: unknown) => unknown)(ask) });
  } catch (error) {
    const { message, code } = causeOf(error);
    port.postMessage({ id, error: message, code: String(code ?? "internal") });
  }
};
