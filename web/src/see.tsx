import { Fragment, type JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { AttentionCard } from "./attentionView.tsx";
import { shortNumber } from "./chart.tsx";
import { Bar, blockColour, Fault, Pixels, Slider, Symbols, unitColour, useWork } from "./controls.tsx";
import type { Lane } from "./lane.ts";
import type { Answers, Picture, RevealFrame, WalkFrame } from "./protocol.ts";
import { type ModelName, methodTitles } from "./settings.ts";
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
      {lanes.map((lane) => {
        const View = views[lane.opened!.config.model.name as ModelName];
        return (
          <Fragment key={lane.run}>
            <View lane={lane} />
            <AttentionCard lane={lane} />
          </Fragment>
        );
      })}
    </section>
  );
}

interface ViewProps {
  readonly lane: Lane;
}

const shownPictures = 20;
const drawnPictures = 8;
const drawnTexts = 4;
const walkSteps = 18;

/** What each block, and all together, say of a picture of the test part. */
function Classes({ lane }: ViewProps) {
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
      <Fault text={error} />
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

/** Moments of a reverse process that are played one after another, from the first. */
function usePlay<Frame>() {
  const [frames, setFrames] = useState<readonly Frame[]>([]);
  const [at, setAt] = useState(0);
  const [playing, setPlaying] = useState(false);
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  useEffect(() => {
    if (!playing) return;
    const timer = setTimeout(() => (at + 1 < frames.length ? setAt(at + 1) : setPlaying(false)), 160);
    return () => clearTimeout(timer);
  }, [playing, at, frames]);
  return {
    frames,
    at,
    frame: frames[at],
    playing,
    show: (made: readonly Frame[]): void => {
      setFrames(made);
      setAt(calm ? made.length - 1 : 0);
      setPlaying(!calm);
    },
    toggle: (): void => {
      setAt(at + 1 >= frames.length ? 0 : at);
      setPlaying(!playing);
    },
    jump: (place: number): void => {
      setPlaying(false);
      setAt(place);
    },
  };
}

interface WayProps {
  readonly units: readonly string[];
  readonly play: { readonly at: number; readonly frames: readonly unknown[]; jump(place: number): void };
  readonly block: number;
  readonly level: string;
}

/** Which block is at work, and a slider over the moments. */
function Way({ units, play, block: working, level }: WayProps) {
  return (
    <>
      <ol class="blocks" aria-label="The block at work">
        {units.map((unit, block) => (
          <li
            key={unit}
            class={`block c${block % 8}${working === block ? " lit" : ""}`}
            aria-current={working === block ? "step" : undefined}
          >
            <b>{unit}</b>
          </li>
        ))}
      </ol>
      <Slider
        label={`${level}, ${units[working]} at work`}
        value={play.at + 1}
        min={1}
        max={play.frames.length}
        step={1}
        onChange={(value) => play.jump(value - 1)}
      />
    </>
  );
}

/** Pictures walking from noise, with the block that is at work. */
function Walk({ lane }: ViewProps) {
  const play = usePlay<WalkFrame>();
  const [seed, setSeed] = useState(0);
  const [label, setLabel] = useState("");
  const [busy, error, work] = useWork();
  const { units, classNames } = lane.opened!;
  const draw = (): void =>
    work(async () => {
      play.show(await lane.ask("draw", { count: drawnPictures, seed, steps: walkSteps, ...(label !== "" && { label: Number(label) }) }));
      setSeed(seed + 1);
    });
  const { frame, at } = play;
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
        <button type="button" disabled={frame === undefined} onClick={play.toggle}>
          {play.playing ? "Stop" : "Play"}
        </button>
      </div>
      <Fault text={error} />
      {frame !== undefined && (
        <>
          <Way units={units} play={play} block={frame.block} level={`σ ${shortNumber(frame.sigma)}`} />
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

/** Texts from masks to words, with the block that is at work. */
function Reveal({ lane }: ViewProps) {
  const play = usePlay<RevealFrame>();
  const [seed, setSeed] = useState(0);
  const [prompt, setPrompt] = useState("the ");
  const [busy, error, work] = useWork();
  const { units } = lane.opened!;
  const write = (): void =>
    work(async () => {
      play.show(await lane.ask("reveal", { count: drawnTexts, seed, prompt }));
      setSeed(seed + 1);
    });
  const { frame } = play;
  return (
    <article class="card">
      <h3>{methodTitles[lane.method] ?? lane.method}: text from masks</h3>
      <div class="buttons">
        <label class="field">
          <span class="name">Begins with</span>
          <input type="text" value={prompt} onInput={(event) => setPrompt(event.currentTarget.value)} />
        </label>
        <button type="button" class="primary" disabled={busy} onClick={write}>
          {busy ? "Writing …" : `Write ${drawnTexts} texts`}
        </button>
        <button type="button" disabled={frame === undefined} onClick={play.toggle}>
          {play.playing ? "Stop" : "Play"}
        </button>
      </div>
      <Fault text={error} />
      {frame !== undefined && (
        <>
          <Way units={units} play={play} block={frame.block} level={`t ${shortNumber(frame.time)}`} />
          <ul class="texts">
            {frame.texts.map((symbols, i) => (
              <li key={i}>
                <Symbols symbols={symbols} />
              </li>
            ))}
          </ul>
        </>
      )}
    </article>
  );
}

const views: Readonly<Record<ModelName, (props: ViewProps) => JSX.Element>> = { vit: Classes, dit: Walk, "masked-diffusion": Reveal };
