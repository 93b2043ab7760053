import { useEffect, useState } from "preact/hooks";
import { shortNumber } from "./chart.tsx";
import { Bar, blockColour, Pixels, Slider, unitColour } from "./controls.tsx";
import type { Lane } from "./lane.ts";
import type { Answers, Picture, WalkFrame } from "./protocol.ts";
import { methodTitles } from "./settings.ts";
import { type Studio, useStudio } from "./studio.ts";

export function See({ studio }: { readonly studio: Studio }) {
  useStudio(studio);
  const lanes = studio.lanes.filter(({ opened }) => opened !== undefined);
  return (
    <section>
      <h2>See what it has learned</h2>
      {lanes.length === 0 && (
        <p>
          There is nothing to see yet: <a href="#train">train something</a> or open one of the <a href="#runs">runs that are kept</a>.
        </p>
      )}
      {lanes.map((lane) =>
        lane.opened!.config.model.name === "dit" ? <Walk key={lane.run} lane={lane} /> : <Classes key={lane.run} lane={lane} />,
      )}
    </section>
  );
}

/** Does something with a run and shows why it could not be done. */
function useWork(): readonly [busy: boolean, error: string, run: (work: () => Promise<void>) => void] {
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

const shownPictures = 20;
const drawnPictures = 8;
const walkSteps = 18;

/** What each block, and all together, say of a picture of the test part. */
function Classes({ lane }: { readonly lane: Lane }) {
  const [pictures, setPictures] = useState<readonly Picture[]>([]);
  const [answers, setAnswers] = useState<Answers>();
  const [chosen, setChosen] = useState(0);
  const [busy, error, work] = useWork();
  const { classNames } = lane.opened!;
  const look = (index: number): void => {
    setChosen(index);
    work(async () => setAnswers(await lane.ask("classify", { index })));
  };
  useEffect(() => {
    work(async () => setPictures(await lane.ask("pictures", { count: shownPictures })));
  }, [lane]);
  return (
    <article class="card">
      <h3>
        {methodTitles[lane.method] ?? lane.method}: what {lane.opened!.units.length > 1 ? "each block" : "it"} says of a test picture
      </h3>
      <div class="strip choose">
        {pictures.map((picture, i) => (
          <button key={i} type="button" aria-pressed={i === chosen && answers !== undefined} disabled={busy} onClick={() => look(i)}>
            <Pixels picture={picture} label={`test picture ${i + 1}`} />
          </button>
        ))}
      </div>
      {error !== "" && (
        <p role="alert" class="error">
          {error}
        </p>
      )}
      {answers !== undefined && (
        <>
          <p>
            This is a <b>{classNames[answers.label]}</b>. Each block answers from the picture and pure noise in place of the class; together
            they walk down the noise levels.
          </p>
          <div class="answers">
            {answers.answers.map(({ name, probabilities }, i) => (
              <div key={name}>
                <h4>{name === "together" ? "all together" : name}</h4>
                {top(probabilities).map(({ index, share }) => (
                  <div key={index} class={index === answers.label ? "row right-class" : "row"}>
                    <span>{classNames[index]}</span>
                    <Bar
                      share={share}
                      colour={name === "together" ? "--ink" : unitColour(lane.method, i)}
                      text={`${(100 * share).toFixed(0)} %`}
                    />
                  </div>
                ))}
              </div>
            ))}
          </div>
        </>
      )}
    </article>
  );
}

/** The likeliest classes. */
function top(probabilities: readonly number[]) {
  return probabilities
    .map((share, index) => ({ share, index }))
    .sort((a, b) => b.share - a.share)
    .slice(0, 4);
}

/** Pictures walking from noise, with the block that is at work. */
function Walk({ lane }: { readonly lane: Lane }) {
  const [frames, setFrames] = useState<readonly WalkFrame[]>([]);
  const [at, setAt] = useState(0);
  const [seed, setSeed] = useState(0);
  const [label, setLabel] = useState("");
  const [playing, setPlaying] = useState(false);
  const [busy, error, work] = useWork();
  const { units, classNames } = lane.opened!;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const draw = (): void =>
    work(async () => {
      const made = await lane.ask("draw", { count: drawnPictures, seed, steps: walkSteps, ...(label !== "" && { label: Number(label) }) });
      setFrames(made);
      setSeed(seed + 1);
      setAt(calm ? made.length - 1 : 0);
      setPlaying(!calm);
    });
  useEffect(() => {
    if (!playing) return;
    const timer = setTimeout(() => (at + 1 < frames.length ? setAt(at + 1) : setPlaying(false)), 160);
    return () => clearTimeout(timer);
  }, [playing, at, frames]);
  const frame = frames[at];
  return (
    <article class="card">
      <h3>{methodTitles[lane.method] ?? lane.method}: pictures walking from noise</h3>
      <div class="buttons">
        <label class="field">
          <span class="name">Class</span>
          <select value={label} onChange={(event) => setLabel(event.currentTarget.value)}>
            <option value="">each in turn</option>
            {classNames.map((name, i) => (
              <option key={name} value={String(i)}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <button type="button" class="primary" disabled={busy} onClick={draw}>
          {busy ? "Drawing …" : `Draw ${drawnPictures} pictures`}
        </button>
        <button
          type="button"
          disabled={frames.length === 0}
          onClick={() => [setAt(at + 1 >= frames.length ? 0 : at), setPlaying(!playing)]}
        >
          {playing ? "Stop" : "Play"}
        </button>
      </div>
      {error !== "" && (
        <p role="alert" class="error">
          {error}
        </p>
      )}
      {frame !== undefined && (
        <>
          <ol class="blocks" aria-label="The block at work">
            {units.map((unit, block) => (
              <li
                key={unit}
                class={`block c${block % 8}${frame.block === block ? " lit" : ""}`}
                aria-current={frame.block === block ? "step" : undefined}
              >
                <b>{unit}</b>
              </li>
            ))}
          </ol>
          <Slider
            label={`σ ${shortNumber(frame.sigma)}, ${units[frame.block]} at work`}
            value={at + 1}
            min={1}
            max={frames.length}
            step={1}
            onChange={(value) => [setPlaying(false), setAt(value - 1)]}
          />
          <div class="strip large" data-block-colour={blockColour(frame.block)}>
            {frame.pictures.map((picture, i) => (
              <Pixels key={i} picture={picture} label={`picture ${i + 1} after ${at + 1} steps`} />
            ))}
          </div>
        </>
      )}
    </article>
  );
}
