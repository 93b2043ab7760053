import { UsageError } from "../errors.ts";
import type { Device } from "../runtime/index.ts";
import { createCaller, type LanguageModel } from "../train/index.ts";
import { loadParameters, type TrainedRun } from "./trainedRun.ts";

/** Texts of one batch. */
const batchSize = 16;

/**
 * Features of texts for MAUVE: the logits of a language model behind each text, which are a linear map of its last state (where a text fills
 * a whole sequence, those of its last token). Principal components, which MAUVE takes first, make of both much the same.
 *
 * @returns a row of the length of the vocabulary for each text.
 * @throws {UsageError} if the model's answer needs more than the tokens, as that of blocks does.
 */
export async function textFeatures(run: TrainedRun, device: Device, texts: readonly Int32Array[]): Promise<readonly Float32Array[]> {
  const method = run.method as LanguageModel;
  const { whole } = (await method.exported?.()) ?? {};
  if (whole === undefined || Object.keys(whole.inputs(1)).join() !== "tokens") {
    const message = `--teacher ${run.folder.path} was trained by ${method.name}; features of texts are those of a language model trained end to end.`;
    throw new UsageError("noFeatures", { method: method.name }, message);
  }
  await using caller = createCaller(method, { device, values: await loadParameters(run), batchSize });
  const rows: Float32Array[] = [];
  for (let first = 0; first < texts.length; first += batchSize) {
    const own = texts.slice(first, first + batchSize);
    const tokens = new Int32Array(batchSize * method.length);
    for (const [i, text] of own.entries()) tokens.set(text, i * method.length);
    const { logits } = await caller.call(whole, { tokens });
    for (const [i, text] of own.entries()) {
      const place = Math.min(text.length, method.length - 1);
      const at = (i * method.length + place) * method.vocabSize;
      rows.push((logits as Float32Array).slice(at, at + method.vocabSize));
    }
  }
  return rows;
}
