import {
  assignLayers,
  cumulative,
  fold,
  generateEmbedded,
  generateEmbeddedText,
  keptShare,
  key,
  type LogNormalNoise,
  logNormalNoise,
  maskingPartition,
  maskingWeight,
  normals,
  type Partition,
  partition,
  readTokens,
  uniform,
} from "diffusion-blocks";
import { useMemo, useState } from "preact/hooks";
import { Chart, type Line, shortNumber } from "./chart.tsx";
import { blockColour, Pixels, Select, Slider, Symbols } from "./controls.tsx";
import type { Picture } from "./protocol.ts";
import { kinds, type ModelName, type Settings } from "./settings.ts";
import { type Studio, useStudio } from "./studio.ts";

/** A few pictures to put noise on. */
const pictures = generateEmbedded({ train: 10, test: 10 });
const size = 32;

/** What is noised, at one noise level; seen as the network sees it, scaled to unit variance. */
function noisy(index: number, sigma: number): Picture {
  const length = 3 * size * size;
  const clean = pictures.test.images.subarray(index * length, (index + 1) * length);
  const noise = normals(fold(key(index), "noise"), length);
  const scale = 0.5 / Math.sqrt(0.25 + sigma ** 2);
  const bytes = Uint8Array.from(clean, (byte, i) => {
    const z = byte / 127.5 - 1 + sigma * noise[i]!;
    return Math.min(255, Math.max(0, Math.round(127.5 * (1 + z * scale))));
  });
  return { bytes, channels: 3, size };
}

/** The density of ln sigma in training, per unit of ln sigma. */
function density({ pMean, pStd }: LogNormalNoise, sigma: number): number {
  return Math.exp(-(((Math.log(sigma) - pMean) / pStd) ** 2) / 2) / (pStd * Math.sqrt(2 * Math.PI));
}

export function Explain({ studio }: { readonly studio: Studio }) {
  useStudio(studio);
  const { settings } = studio;
  const { numBlocks, numLayers, overlap } = settings;
  const kind = kinds[settings.model];
  const isMasked = settings.model === "masked-diffusion";
  const { start } = kind;
  return (
    <section>
      <h2>A network in blocks, each for its own noise</h2>
      <p>
        Ordinary training sends a gradient back through all {numLayers} layers and must remember what every layer computed. DiffusionBlocks
        cuts the layers into <b>{numBlocks} blocks</b>, {isMasked ? "hides parts of the text" : "puts noise on the answer"}, and lets each
        block learn alone to{" "}
        {isMasked ? "find what is hidden at its own range of times t" : "take away the noise of its own range of levels σ"}. Only one block
        is in memory. The cuts are made so that every block gets the same share of the training: the coloured areas below are equal.
      </p>
      <div class="controls">
        <Select
          label="What is denoised"
          value={settings.model}
          disabled={studio.lanes.length > 0}
          choices={Object.entries(kinds).map(([value, { denoised }]) => ({ value, title: denoised }))}
          onChange={(model) => studio.set(kinds[model as ModelName].start)}
        />
        <Slider
          label="Blocks B"
          value={numBlocks}
          min={1}
          max={Math.min(8, numLayers)}
          step={1}
          onChange={(value) => studio.set({ numBlocks: value })}
        />
        {isMasked ? <MaskControls studio={studio} /> : <NoiseControls studio={studio} />}
        <Slider
          label="Overlap γ in training"
          value={overlap}
          min={0}
          max={0.3}
          step={0.01}
          onChange={(value) => studio.set({ overlap: value })}
        />
      </div>
      <p class="note">
        These start as the package does for {kind.denoised}.{" "}
        <button
          type="button"
          class="link"
          onClick={() => studio.set({ pMean: start.pMean, pStd: start.pStd, masking: start.masking, overlap: 0.05, numBlocks: 3 })}
        >
          Back to the start
        </button>
      </p>
      {isMasked ? <MaskCut settings={settings} /> : <NoiseCut settings={settings} />}
    </section>
  );
}

function NoiseControls({ studio }: { readonly studio: Studio }) {
  const { pMean, pStd } = studio.settings;
  return (
    <>
      <Slider
        label={
          <>
            Mean of ln σ, P<sub>mean</sub>
          </>
        }
        value={pMean}
        min={-3}
        max={4}
        step={0.1}
        onChange={(value) => studio.set({ pMean: value })}
      />
      <Slider
        label={
          <>
            Deviation, P<sub>std</sub>
          </>
        }
        value={pStd}
        min={0.3}
        max={2.5}
        step={0.1}
        onChange={(value) => studio.set({ pStd: value })}
      />
    </>
  );
}

function MaskControls({ studio }: { readonly studio: Studio }) {
  return (
    <Select
      label="Hidden share over time"
      value={studio.settings.masking}
      choices={[
        { value: "linear", title: "linear" },
        { value: "cosine", title: "cosine" },
      ]}
      onChange={(masking) => studio.set({ masking: masking as Settings["masking"] })}
    />
  );
}

interface CutOfSettings {
  readonly settings: Settings;
}

/** A cut of layers and levels, or why it cannot be made. */
function cutOf<Cut>({ numLayers, numBlocks }: Settings, make: () => Cut) {
  try {
    return { layers: assignLayers(numLayers, numBlocks), ...make() };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function NoiseCut({ settings }: CutOfSettings) {
  const { numBlocks, numLayers, pMean, pStd, overlap } = settings;
  const [picture, setPicture] = useState(0);
  const cut = useMemo(
    () => cutOf(settings, () => partition({ numBlocks, noise: logNormalNoise({ pMean, pStd }), overlap })),
    [numBlocks, numLayers, pMean, pStd, overlap],
  );
  if (typeof cut === "string")
    return (
      <p role="alert" class="error">
        {cut}
      </p>
    );
  return <Cut {...{ cut, numLayers, picture, setPicture, isClasses: settings.model === "vit" }} />;
}

/** Times, from everything hidden on the left to nothing on the right. */
function MaskCut({ settings }: CutOfSettings) {
  const { numBlocks, numLayers, masking: schedule, overlap } = settings;
  const [index, setIndex] = useState(0);
  const cut = useMemo(
    () => cutOf(settings, () => maskingPartition({ numBlocks, schedule, overlap })),
    [numBlocks, numLayers, schedule, overlap],
  );
  if (typeof cut === "string")
    return (
      <p role="alert" class="error">
        {cut}
      </p>
    );
  const { layers, ranges, trainingRanges } = cut;
  const times = [...ranges.map(([, high]) => high), ranges.at(-1)![0]];
  const hidden = (t: number): string => `${(100 * (1 - keptShare(schedule, t))).toFixed(0)} %`;
  const grid = [...new Set([...Array.from({ length: 201 }, (_, i) => i / 200), ...times])].sort((a, b) => a - b);
  const lines = ranges.map(
    ([low, high], block): Line => ({
      label: `block ${block}`,
      colour: blockColour(block),
      filled: true,
      values: grid.map((t) => (t >= low && t <= high ? maskingWeight(schedule, t) * (1 - keptShare(schedule, t)) : null)),
    }),
  );
  return (
    <>
      <Chart
        title="Hidden symbols of training, by time: −α′(t)"
        xTitle="time t"
        yTitle="density"
        height={250}
        x={grid}
        lines={lines}
        yRange={[0, 1.7]}
        marks={times.slice(1, -1)}
        bands={trainingRanges.map(([from, to], block) => ({ from, to, colour: blockColour(block) }))}
        summary={`cut into ${ranges.length} parts of equal area at ${times.slice(1, -1).map(shortNumber).join(", ") || "no place"}`}
      />
      <ol class="blocks" reversed>
        {ranges.map(([low, high], block) => (
          <li key={block} class={`block c${block % 8}`}>
            <b>Block {block}</b>
            <span>{layersText(layers[block]!)}</span>
            <span>
              t {shortNumber(high)} … {shortNumber(low)}
            </span>
            <span class="soft">
              {hidden(high)} to {hidden(low)} hidden
            </span>
          </li>
        ))}
      </ol>
      <h3>The same sentence at each cut</h3>
      <p>The first block sees next to nothing and decides what the text may be about; the last one spells it out.</p>
      <dl class="texts">
        {times.map((t, i) => (
          <div key={i}>
            <dt>t {shortNumber(t)}</dt>
            <dd>
              <Symbols symbols={masked(sentences[index]!, keptShare(schedule, t))} />
            </dd>
          </div>
        ))}
      </dl>
      <p>
        <Select
          label="Sentence"
          value={index}
          choices={sentences.map((sentence, i) => ({ value: i, title: sentence.slice(0, 40) }))}
          onChange={(value) => setIndex(Number(value))}
        />
      </p>
      <p>
        To write, one starts with everything hidden and walks down the times: at each the block that owns it reveals some symbols.{" "}
        <a href="#train">Train one in this tab.</a>
      </p>
    </>
  );
}

/** Some sentences of the embedded text. */
const sentences = (() => {
  const { tokenizer, train } = generateEmbeddedText({ sentences: 30 });
  const text = tokenizer.decode(readTokens(train));
  return text
    .split(/ (?:and|but|while|then) /)
    .filter((sentence) => sentence.length > 30 && sentence.length < 75)
    .slice(0, 5);
})();

/** A text of which this share is kept, null where it is hidden; what is hidden at a lower share stays hidden at a higher one. */
function masked(text: string, kept: number): (string | null)[] {
  const draws = new Float32Array(text.length);
  uniform(fold(key(text.length), "mask"), draws);
  return [...text].map((symbol, i) => (draws[i]! < kept ? symbol : null));
}

interface CutProps {
  readonly cut: Partition & { readonly layers: ReturnType<typeof assignLayers> };
  readonly numLayers: number;
  readonly picture: number;
  readonly setPicture: (index: number) => void;
  readonly isClasses: boolean;
}

function Cut({ cut, numLayers, picture, setPicture, isClasses }: CutProps) {
  const { noise, boundaries, ranges, trainingRanges, layers } = cut;
  const { x, lines } = useMemo(() => densityLines(cut), [cut]);
  return (
    <>
      <Chart
        title="Noise levels of training: density of ln σ"
        xTitle="σ, logarithmic"
        yTitle="density"
        logX
        height={250}
        {...{ x, lines }}
        marks={boundaries.slice(1, -1)}
        bands={trainingRanges.map(([from, to], block) => ({ from, to, colour: blockColour(block) }))}
        summary={`cut into ${ranges.length} parts of equal area at ${boundaries.slice(1, -1).map(shortNumber).join(", ") || "no place"}`}
      />
      <ol class="blocks" reversed>
        {ranges.map(([low, high], block) => (
          <li key={block} class={`block c${block % 8}`}>
            <b>Block {block}</b>
            <span>{layersText(layers[block]!)}</span>
            <span>
              σ {shortNumber(high)} … {shortNumber(low)}
            </span>
            <span class="soft">{(100 * (cumulative(noise, high) - cumulative(noise, low))).toFixed(0)} % of the noise</span>
          </li>
        ))}
      </ol>
      <h3>{isClasses ? "What a level of noise means" : "The same picture at each cut"}</h3>
      <p>
        {isClasses
          ? "A classifier's blocks denoise the embedding of the class and look at the clean picture; a generator's blocks denoise the picture itself. Noise is easiest to see on a picture:"
          : "From left to right the picture that a block is handed at its cuts. The first block decides what it may be, the last one how it looks."}
      </p>
      <div class="strip">
        {boundaries.map((sigma, i) => (
          <figure key={i}>
            <Pixels picture={noisy(picture, sigma)} label={`${pictures.classNames[picture]} with noise of σ ${shortNumber(sigma)}`} />
            <figcaption>σ {shortNumber(sigma)}</figcaption>
          </figure>
        ))}
      </div>
      <p>
        <label class="field">
          <span class="name">Picture</span>
          <select value={String(picture)} onChange={(event) => setPicture(Number(event.currentTarget.value))}>
            {pictures.classNames.map((name, i) => (
              <option key={name} value={String(i)}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </p>
      <p>
        To predict, one starts from pure noise and walks down the levels: each level goes through the block that owns it, so all {numLayers}{" "}
        layers work, one block after another. <a href="#train">Train one in this tab.</a>
      </p>
    </>
  );
}

/** One filled line for each block, which has values only in its range. */
function densityLines({ noise, boundaries, ranges }: Partition): { readonly x: number[]; readonly lines: Line[] } {
  const [from, to] = [Math.log(noise.sigmaMin), Math.log(noise.sigmaMax)];
  const grid = Array.from({ length: 241 }, (_, i) => Math.exp(from + ((to - from) * i) / 240));
  const x = [...new Set([...grid, ...boundaries])].sort((a, b) => a - b);
  const lines = ranges.map(([low, high], block) => ({
    label: `block ${block}`,
    colour: blockColour(block),
    filled: true,
    values: x.map((sigma) => (sigma >= low * (1 - 1e-9) && sigma <= high * (1 + 1e-9) ? density(noise, sigma) : null)),
  }));
  return { x, lines };
}

/** "layer 3", "layers 1–2"; counted from 1. */
function layersText([first, end]: readonly [number, number]): string {
  return end - first === 1 ? `layer ${end}` : `layers ${first + 1}–${end}`;
}
