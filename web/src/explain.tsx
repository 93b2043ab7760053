import {
  assignLayers,
  cumulative,
  fold,
  generateEmbedded,
  key,
  type LogNormalNoise,
  logNormalNoise,
  normals,
  type Partition,
  partition,
} from "diffusion-blocks";
import { useMemo, useState } from "preact/hooks";
import { Chart, type Line, shortNumber } from "./chart.tsx";
import { blockColour, Pixels, Select, Slider } from "./controls.tsx";
import type { Picture } from "./protocol.ts";
import { starts } from "./settings.ts";
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
  const [picture, setPicture] = useState(0);
  const { numBlocks, numLayers, pMean, pStd, overlap } = settings;
  const cut = useMemo(() => {
    try {
      const layers = assignLayers(numLayers, numBlocks);
      return { layers, ...partition({ numBlocks, noise: logNormalNoise({ pMean, pStd }), overlap }) };
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }, [numBlocks, numLayers, pMean, pStd, overlap]);
  const isClasses = settings.model === "vit";
  return (
    <section>
      <h2>A network in blocks, each for its own noise</h2>
      <p>
        Ordinary training sends a gradient back through all {numLayers} layers and must remember what every layer computed. DiffusionBlocks
        cuts the layers into <b>{numBlocks} blocks</b>, puts noise on the answer, and lets each block learn alone to take away the noise of{" "}
        <b>its own range of levels σ</b>. Only one block is in memory. The cuts are made so that every block gets the same share of the
        training noise: the coloured areas below are equal.
      </p>
      <div class="controls">
        <Select
          label="What is denoised"
          value={settings.model}
          disabled={studio.lanes.length > 0}
          choices={[
            { value: "dit", title: "pictures" },
            { value: "vit", title: "embeddings of classes" },
          ]}
          onChange={(model) => studio.set(starts[model as "dit" | "vit"])}
        />
        <Slider
          label="Blocks B"
          value={numBlocks}
          min={1}
          max={Math.min(8, numLayers)}
          step={1}
          onChange={(value) => studio.set({ numBlocks: value })}
        />
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
        These start as the package does for {isClasses ? "classes" : "pictures"}.{" "}
        <button
          type="button"
          class="link"
          onClick={() =>
            studio.set({ pMean: starts[settings.model].pMean, pStd: starts[settings.model].pStd, overlap: 0.05, numBlocks: 3 })
          }
        >
          Back to the start
        </button>
      </p>
      {typeof cut === "string" ? (
        <p role="alert" class="error">
          {cut}
        </p>
      ) : (
        <Cut {...{ cut, numLayers, picture, setPicture, isClasses }} />
      )}
    </section>
  );
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
