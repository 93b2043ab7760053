import { sampleText, type TextSampling } from "../blocks/index.ts";
import { UsageError } from "../errors.ts";
import { fold, key } from "../random.ts";
import { openDevice } from "../runtime/index.ts";
import { createCaller } from "../train/index.ts";
import type { RunConfig } from "./runConfig.ts";
import { loadParameters, openTrainedRun } from "./trainedRun.ts";

export interface SampleTextRunOptions {
  readonly path: string;
  readonly count: number;
  /** How every text begins. */
  readonly prompt?: string | undefined;
  readonly seed?: number;
  readonly sampling?: Partial<TextSampling>;
  readonly batchSize?: number;
  readonly device?: RunConfig["execution"]["device"] | undefined;
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onText: (text: string, tokens: Int32Array) => void;
}

/**
 * Draws texts of the length that a masked diffusion model was trained with. Text i of a seed is the same in any count and batch.
 *
 * @throws {UsageError} if the run makes no text, or the prompt is longer than a sequence. {DataError} if the tokenizer cannot write the prompt.
 */
export async function sampleTextRun({
  path,
  count,
  prompt = "",
  seed = 0,
  batchSize = 8,
  signal,
  onText,
  ...options
}: SampleTextRunOptions): Promise<number> {
  const run = await openTrainedRun(path);
  const { task, config } = run;
  if (task.kind !== "text") throw new UsageError("noText", { model: config.model }, `${path} is a ${config.model}, which makes no text.`);
  const { method, data } = task;
  const { length } = method.architecture;
  const known = data.tokenizer.encode(prompt);
  if (known.length > length) {
    const message = `--prompt: ${known.length} tokens are more than the ${length} of a sequence. Shorten it, or train with a larger --length.`;
    throw new UsageError("promptTooLong", { tokens: known.length, length }, message);
  }
  const sampling: TextSampling = { numSteps: length, grid: "cosine", temperature: 1, ...options.sampling };
  const threads = options.threads ?? config.execution.threads;
  const device = await openDevice(options.device ?? config.execution.device, threads === undefined ? {} : { threads });
  try {
    const parameters = await loadParameters(run);
    await using caller = createCaller(method, { device, values: (name) => parameters.get(name)!, batchSize });
    let done = 0;
    while (done < count && !signal?.aborted) {
      const keys = Array.from({ length: Math.min(batchSize, count - done) }, (_, i) => fold(fold(key(seed), "text"), done + i));
      const tokens = await sampleText({ method, call: caller.call, batchSize, keys, prompt: known, sampling });
      for (let i = 0; i < keys.length; i++) {
        const own = tokens.slice(i * length, (i + 1) * length);
        onText(data.tokenizer.decode(own), own);
      }
      done += keys.length;
    }
    return done;
  } finally {
    await device.dispose();
  }
}
