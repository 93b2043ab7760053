import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Picture } from "./protocol.ts";

export interface SliderProps {
  readonly label: ComponentChildren;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly disabled?: boolean;
  readonly hint?: string;
  readonly onChange: (value: number) => void;
}

/** A number that is dragged, or changed by the arrow keys. */
export function Slider({ label, value, min, max, step, disabled = false, hint, onChange }: SliderProps) {
  return (
    <label class="field" title={hint}>
      <span class="name">{label}</span>
      <input type="range" {...{ value, min, max, step, disabled }} onInput={(event) => onChange(Number(event.currentTarget.value))} />
      <output>{value}</output>
    </label>
  );
}

export interface SelectProps {
  readonly label: string;
  readonly value: string | number;
  readonly choices: readonly { readonly value: string | number; readonly title: string }[];
  readonly disabled?: boolean;
  readonly onChange: (value: string) => void;
}

export function Select({ label, value, choices, disabled = false, onChange }: SelectProps) {
  return (
    <label class="field">
      <span class="name">{label}</span>
      <select value={String(value)} disabled={disabled} onChange={(event) => onChange(event.currentTarget.value)}>
        {choices.map((choice) => (
          <option key={choice.value} value={String(choice.value)}>
            {choice.title}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Pixels of a picture on a canvas, each a square. */
export function Pixels({ picture, label }: { readonly picture: Picture; readonly label: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { bytes, channels, size } = picture;
  useEffect(() => {
    const image = new ImageData(size, size);
    const plane = size * size;
    for (let i = 0; i < plane; i++) {
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = bytes[Math.min(c, channels - 1) * plane + i]!;
      image.data[4 * i + 3] = 255;
    }
    canvas.current!.getContext("2d")!.putImageData(image, 0, 0);
  }, [bytes, channels, size]);
  return <canvas ref={canvas} class="pixels" width={size} height={size} role="img" aria-label={label} />;
}

/** A text, with a sign for each symbol that is hidden (null). */
export function Symbols({ symbols }: { readonly symbols: readonly (string | null)[] }) {
  const hidden = symbols.filter((symbol) => symbol === null).length;
  return (
    <span class="symbols">
      <span aria-hidden="true">{symbols.map((symbol) => symbol ?? "▒").join("")}</span>
      <span class="hidden">{`${symbols.map((symbol) => symbol ?? "_").join("")}, ${hidden} of ${symbols.length} symbols hidden`}</span>
    </span>
  );
}

/** A share from 0 to 1 as a bar with its number. */
export function Bar({ share, colour, text }: { readonly share: number; readonly colour: string; readonly text: string }) {
  const bar = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    bar.current!.style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
    bar.current!.style.background = `var(${colour})`;
  });
  return (
    <span class="bar">
      <span class="track">
        <span ref={bar} class="fill" />
      </span>
      <span class="number">{text}</span>
    </span>
  );
}

/** The colour of a block: eight, then again from the first. */
export function blockColour(block: number): string {
  return `--c${block % 8}`;
}

/** The colour of a unit of a method: blocks have theirs, other networks one each. */
export function unitColour(method: string, index: number): string {
  if (method === "end-to-end") return "--ink";
  return method === "shallow-twin" ? "--soft" : blockColour(index);
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 1)} MB`;
}

/** Does something with a run and shows why it could not be done. */
export function useWork(): readonly [busy: boolean, error: string, run: (work: () => Promise<void>) => void] {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const run = (work: () => Promise<void>): void => {
    setBusy(true);
    setError("");
    work()
      .catch((failure: unknown) => setError(failure instanceof Error ? failure.message : String(failure)))
      .finally(() => setBusy(false));
  };
  return [busy, error, run];
}

/** Why something could not be done. */
export function Fault({ text }: { readonly text: string }) {
  return text === "" ? null : (
    <p role="alert" class="error">
      {text}
    </p>
  );
}
