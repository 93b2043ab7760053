import { useEffect, useRef, useState } from "preact/hooks";
import { Fault, Pixels, Select, Slider, useWork } from "./controls.tsx";
import type { Lane } from "./lane.ts";
import type { Attention, AttentionLayer, Picture } from "./protocol.ts";
import { kinds, type ModelName, methodTitles } from "./settings.ts";

const shownSamples = 20;

/** What a layer attends to in a picture or a text of the test part. */
export function AttentionCard({ lane }: { readonly lane: Lane }) {
  const [index, setIndex] = useState(0);
  const [unit, setUnit] = useState(0);
  const [found, setFound] = useState<Attention>();
  const [busy, error, work] = useWork();
  const { units, config } = lane.opened!;
  const sample = kinds[config.model.name as ModelName].modality === "text" ? "text" : "picture";
  const look = (one: number, of: number): void => {
    setIndex(one);
    setUnit(of);
    work(async () => setFound(await lane.ask("attention", { index: one, unit: of })));
  };
  return (
    <article class="card attention">
      <h3>
        {methodTitles[lane.method] ?? lane.method}: what a layer attends to in a test {sample}
      </h3>
      <div class="controls">
        <Slider
          label={`Test ${sample}`}
          value={index + 1}
          min={1}
          max={shownSamples}
          step={1}
          disabled={busy}
          onChange={(n) => look(n - 1, unit)}
        />
        {units.length > 1 && (
          <Select
            label="Unit"
            value={unit}
            disabled={busy}
            choices={units.map((title, value) => ({ value, title }))}
            onChange={(value) => look(index, Number(value))}
          />
        )}
        <button type="button" class="primary" disabled={busy} onClick={() => look(index, unit)}>
          {busy ? "Looking …" : "Show attention"}
        </button>
      </div>
      <Fault text={error} />
      {found !== undefined && <LayerMap found={found} />}
    </article>
  );
}

/** One layer's map: shares of all tokens in what one token, the query, takes up. */
function LayerMap({ found }: { readonly found: Attention }) {
  const { layers, shown, lead, level } = found;
  const [layer, setLayer] = useState(0);
  const [head, setHead] = useState(-1);
  const [asked, setQuery] = useState(0);
  const chosen = layers[Math.min(layer, layers.length - 1)]!;
  const query = Math.min(asked, chosen.tokens - 1);
  const shares = sharesOf(chosen, head, query);
  const names = tokenNames(found, chosen.tokens);
  const most = [...shares.keys()].sort((a, b) => shares[b]! - shares[a]!).slice(0, 3);
  const summary = `${names[query]} attends to ${most.map((token) => `${names[token]} (${percent(shares[token]!)})`).join(", ")}`;
  return (
    <>
      <div class="controls">
        <Select
          label="Layer"
          value={layers.indexOf(chosen)}
          choices={layers.map((_, value) => ({ value, title: `layer ${value} of this unit` }))}
          onChange={(value) => setLayer(Number(value))}
        />
        <Select
          label="Head"
          value={head}
          choices={[-1, ...Array.from({ length: chosen.heads }, (_, i) => i)].map((value) => ({
            value,
            title: value < 0 ? "mean of all heads" : `head ${value}`,
          }))}
          onChange={(value) => setHead(Number(value))}
        />
        <Slider label={`Query: ${names[query]}`} value={query} min={0} max={chosen.tokens - 1} step={1} onChange={setQuery} />
      </div>
      {"picture" in shown ? (
        <div class="maps">
          <Pixels picture={shown.picture} label={`what it is shown, ${level}`} />
          <HeatMap
            picture={shown.picture}
            shares={shares.subarray(lead.length)}
            query={query - lead.length}
            label={summary}
            onPick={(patch) => setQuery(patch + lead.length)}
          />
        </div>
      ) : (
        <p class="symbols heat" aria-hidden="true">
          {shown.symbols.map((symbol, i) => (
            <Shaded key={i} share={shares[i]! / Math.max(...shares)} isQuery={i === query} symbol={symbol ?? "▒"} />
          ))}
        </p>
      )}
      <p class="note" aria-live="polite">
        At {level}: {summary}.{lead.length > 0 && ` ${lead.map((name, i) => `${name} ${percent(shares[i]!)}`).join(", ")} of it all.`}
      </p>
    </>
  );
}

/** Of one query, the share of each token, by one head or all on average. */
function sharesOf({ heads, tokens, weights }: AttentionLayer, head: number, query: number): Float32Array {
  const row = (one: number): Float32Array => weights.subarray((one * tokens + query) * tokens, (one * tokens + query + 1) * tokens);
  if (head >= 0) return row(Math.min(head, heads - 1));
  const mean = new Float32Array(tokens);
  for (let one = 0; one < heads; one++) for (const [i, share] of row(one).entries()) mean[i]! += share / heads;
  return mean;
}

function tokenNames({ shown, lead }: Attention, tokens: number): readonly string[] {
  if ("symbols" in shown) return shown.symbols.map((symbol, i) => `${symbol === null ? "hidden symbol" : `“${symbol}”`} ${i + 1}`);
  const side = Math.sqrt(tokens - lead.length);
  const patches = Array.from({ length: tokens - lead.length }, (_, i) => `patch ${Math.floor(i / side) + 1}, ${(i % side) + 1}`);
  return [...lead, ...patches];
}

function percent(share: number): string {
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
}

/** Pixels of the map on the screen. */
const mapSide = 256;

interface HeatMapProps {
  readonly picture: Picture;
  /** Of each patch, in rows. */
  readonly shares: Float32Array;
  /** The patch that asks; negative if it is none. */
  readonly query: number;
  readonly label: string;
  readonly onPick: (patch: number) => void;
}

/** A picture in grey with its patches as bright as their share; the patch that asks has a frame. A patch is picked by a click, or by the arrow keys. */
function HeatMap({ picture, shares, query, label, onPick }: HeatMapProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const side = Math.round(Math.sqrt(shares.length));
  useEffect(() => {
    const context = canvas.current!.getContext("2d")!;
    const cell = mapSide / side;
    context.putImageData(greyOf(picture), 0, 0);
    const highest = Math.max(...shares);
    for (const [patch, share] of shares.entries()) {
      context.fillStyle = `rgb(255 170 0 / ${share / highest})`;
      context.fillRect((patch % side) * cell, Math.floor(patch / side) * cell, cell, cell);
    }
    if (query < 0) return;
    context.strokeStyle = "#fff";
    context.lineWidth = 3;
    context.strokeRect((query % side) * cell + 1.5, Math.floor(query / side) * cell + 1.5, cell - 3, cell - 3);
  }, [picture, shares, query]);
  const click = ({ offsetX, offsetY }: MouseEvent): void => {
    const at = (offset: number, size: number) => Math.min(side - 1, Math.max(0, Math.floor((offset / size) * side)));
    const { clientWidth, clientHeight } = canvas.current!;
    onPick(at(offsetY, clientHeight) * side + at(offsetX, clientWidth));
  };
  const move = (event: KeyboardEvent): void => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -side, ArrowDown: side }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = query < 0 ? 0 : query + step;
    if (next >= 0 && next < shares.length) onPick(next);
  };
  return (
    <button type="button" class="map" aria-label={`${label}. Arrow keys move the patch that asks.`} onClick={click} onKeyDown={move}>
      <canvas ref={canvas} width={mapSide} height={mapSide} />
    </button>
  );
}

/** A picture in dark grey, at the size of the map. */
function greyOf({ bytes, channels, size }: Picture): ImageData {
  const image = new ImageData(mapSide, mapSide);
  const plane = size * size;
  for (let y = 0; y < mapSide; y++)
    for (let x = 0; x < mapSide; x++) {
      const from = Math.floor((y * size) / mapSide) * size + Math.floor((x * size) / mapSide);
      let sum = 0;
      for (let c = 0; c < channels; c++) sum += bytes[c * plane + from]!;
      image.data.fill((0.6 * sum) / channels, 4 * (y * mapSide + x), 4 * (y * mapSide + x) + 3);
      image.data[4 * (y * mapSide + x) + 3] = 255;
    }
  return image;
}

interface ShadedProps {
  readonly symbol: string;
  /** Of the largest share, from 0 to 1. */
  readonly share: number;
  readonly isQuery: boolean;
}

function Shaded({ symbol, share, isQuery }: ShadedProps) {
  const span = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    span.current!.style.background = `color-mix(in srgb, var(--c1) ${(85 * share).toFixed(0)}%, transparent)`;
  }, [share]);
  return (
    <span ref={span} class={isQuery ? "query" : undefined}>
      {symbol}
    </span>
  );
}
