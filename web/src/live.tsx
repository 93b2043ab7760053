import type { LiveRun, LiveRunDetails } from "diffusion-blocks/node";
import { useEffect, useRef, useState } from "preact/hooks";
import { Chart, type Line, shortNumber } from "./chart.tsx";
import { Bar, blockColour, Select, Slider } from "./controls.tsx";

/** Where the server of this page tells of runs; undefined for a page without. */
export const liveAddress: string | undefined = document.querySelector<HTMLMetaElement>('meta[name="live"]')?.content;

const axes = [
  { value: "step", title: "step" },
  { value: "minutes", title: "minutes of training" },
] as const;

/** Runs that other processes train, as their folders have them. */
export function Live() {
  const { runs, control, isConnected } = useRuns();
  const [chosen, setChosen] = useState<readonly string[]>();
  const [metric, setMetric] = useState("loss");
  const [axis, setAxis] = useState<string>("step");
  const [smoothing, setSmoothing] = useState(0.5);
  const shown =
    chosen ??
    runs
      .filter(({ state }) => state !== "damaged")
      .slice(0, 4)
      .map(({ name }) => name);
  const details = useDetails(runs.filter(({ name }) => shown.includes(name)));
  const metrics = [...new Set(details.flatMap(({ records }) => records.flatMap(({ values }) => numbersOf(values))))];
  const toggle = (name: string): void => setChosen(shown.includes(name) ? shown.filter((one) => one !== name) : [...shown, name]);
  return (
    <section>
      <h2>Runs in training</h2>
      <p class="note" aria-live="polite">
        {isConnected
          ? "This page follows the folder: what other processes write appears here."
          : "The server does not answer; trying again …"}
      </p>
      {runs.length === 0 ? (
        <p>There is no run in this folder yet.</p>
      ) : (
        <div class="scroll">
          <table class="runs">
            <thead>
              <tr>
                <th scope="col">run</th>
                <th scope="col">state</th>
                <th scope="col">blocks</th>
                <th scope="col">left</th>
                <th scope="col">
                  <span class="hidden">actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {runs.map((run) => (
                <RunRow key={run.name} {...{ run, control }} shown={shown.includes(run.name)} toggle={() => toggle(run.name)} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {details.length > 0 && (
        <>
          <div class="controls">
            <Select
              label="Measurement"
              value={metric}
              choices={(metrics.length > 0 ? metrics : ["loss"]).map((name) => ({ value: name, title: name }))}
              onChange={setMetric}
            />
            <Select label="Over" value={axis} choices={axes} onChange={setAxis} />
            <Slider label="Smoothing" value={smoothing} min={0} max={0.95} step={0.05} onChange={setSmoothing} />
          </div>
          <Curves {...{ details, metric, axis, smoothing }} />
          <Differences details={details} />
        </>
      )}
    </section>
  );
}

interface RunRowProps {
  readonly run: LiveRun;
  readonly control: boolean;
  readonly shown: boolean;
  readonly toggle: () => void;
}

function RunRow({ run, control, shown, toggle }: RunRowProps) {
  const { name, model, method, data, state, units, fault, hasReport } = run;
  const left = Math.max(...units.map(({ secondsLeft = 0 }) => secondsLeft));
  const [note, setNote] = useState("");
  const stop = (): void => {
    fetch(`${liveAddress}stop/${encodeURIComponent(name)}`, { method: "POST", headers: { "X-Studio": "stop" } })
      .then(async (response) => setNote(response.ok ? "asked to save and end" : await response.text()))
      .catch((error: unknown) => setNote(String(error)));
  };
  return (
    <tr>
      <th scope="row">
        <label class="check">
          <input type="checkbox" checked={shown} disabled={state === "damaged"} onChange={toggle} /> {name}
        </label>
        <div class="soft">{fault ?? `${model}, ${method}, ${data}`}</div>
      </th>
      <td>
        <span class={`state ${state.replace(" ", "-")}`}>{state}</span>
        {note !== "" && <output class="note">{note}</output>}
      </td>
      <td class="wide">
        {units.map(({ unit, step, steps, loss }, i) => (
          <div key={unit} class="unit">
            <span>{unit}</span>
            <Bar
              share={steps === undefined ? 0 : step / steps}
              colour={blockColour(i)}
              text={steps === undefined ? String(step) : `${step}/${steps}`}
            />
            <span class="soft">{loss === undefined ? "" : `loss ${shortNumber(loss)}`}</span>
          </div>
        ))}
      </td>
      <td class="right">{state === "running" && left > 0 ? durationText(left) : ""}</td>
      <td class="right">
        {hasReport && (
          <a href={`${liveAddress}report/${encodeURIComponent(name)}`} target="_blank" rel="noreferrer">
            report
          </a>
        )}
        {control && state === "running" && (
          <button type="button" onClick={stop}>
            Stop
          </button>
        )}
      </td>
    </tr>
  );
}

function durationText(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** The list of runs, as the server tells it. */
function useRuns() {
  const [state, setState] = useState<{ readonly runs: readonly LiveRun[]; readonly control: boolean }>({ runs: [], control: false });
  const [isConnected, setConnected] = useState(true);
  useEffect(() => {
    fetch(`${liveAddress}runs`)
      .then((response) => response.json())
      .then(setState, () => setConnected(false));
    const events = new EventSource(`${liveAddress}events`);
    events.addEventListener("runs", ({ data }) => setState((before) => ({ ...before, runs: JSON.parse(data) })));
    events.onopen = () => setConnected(true);
    events.onerror = () => setConnected(false);
    return () => events.close();
  }, []);
  return { ...state, isConnected };
}

/** What was measured of some runs, fetched again when their files have changed. */
function useDetails(runs: readonly LiveRun[]): readonly LiveRunDetails[] {
  const kept = useRef(new Map<string, LiveRunDetails & { readonly version: number }>());
  const [, draw] = useState(0);
  const wanted = runs.map(({ name, version }) => `${name} ${version}`).join("\n");
  useEffect(() => {
    for (const { name, version } of runs) {
      if (kept.current.get(name)?.version === version) continue;
      fetch(`${liveAddress}run/${encodeURIComponent(name)}`)
        .then((response) => (response.ok ? response.json() : Promise.reject(new Error(response.statusText))))
        .then((details: LiveRunDetails) => {
          kept.current.set(name, { ...details, version });
          draw((n) => n + 1);
        })
        .catch(() => {}); // told again with the next change
    }
  }, [wanted]);
  return runs.flatMap(({ name }) => kept.current.get(name) ?? []);
}

function numbersOf(values: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => (typeof value === "number" ? [name] : []));
}

interface CurvesProps {
  readonly details: readonly LiveRunDetails[];
  readonly metric: string;
  readonly axis: string;
  readonly smoothing: number;
}

/** One line for each block of each run; runs have colours, later blocks are dashed. */
function Curves({ details, metric, axis, smoothing }: CurvesProps) {
  const curves = details.flatMap(({ name, records }, index) =>
    [...new Set(records.map(({ unit }) => unit))].map((unit, i) => {
      const own = records.filter((record) => record.unit === unit && typeof record.values[metric] === "number");
      const start = records[0]?.time ?? 0;
      const points = own.map(({ step, time, values }) => [axis === "step" ? step : (time - start) / 60, values[metric] as number] as const);
      return {
        label: `${name} ${unit}`,
        colour: blockColour(details.length === 1 ? i : index),
        dashed: details.length > 1 && i > 0,
        points: smoothed(points, smoothing),
      };
    }),
  );
  const x = [...new Set(curves.flatMap(({ points }) => points.map(([at]) => at)))].sort((a, b) => a - b);
  const lines = curves
    .filter(({ points }) => points.length > 0)
    .map(({ points, ...line }): Line => {
      const at = new Map(points);
      return { ...line, values: x.map((place) => at.get(place) ?? null) };
    });
  if (lines.length === 0) return <p class="soft">Nothing of this name was measured yet.</p>;
  return (
    <Chart
      title={metric}
      xTitle={axis === "step" ? "step" : "minutes"}
      yTitle={metric}
      height={320}
      {...{ x, lines }}
      summary={curves.map(({ label, points }) => `${label} ${shortNumber(points.at(-1)?.[1] ?? Number.NaN)}`).join(", ")}
    />
  );
}

/** The exponential mean of a curve; 0 leaves it as it is. */
function smoothed(points: readonly (readonly [number, number])[], share: number): readonly (readonly [number, number])[] {
  let mean = points[0]?.[1] ?? 0;
  return points.map(([at, value]) => {
    mean = share * mean + (1 - share) * value;
    return [at, mean] as const;
  });
}

/** The options in which the chosen runs differ. */
function Differences({ details }: { readonly details: readonly LiveRunDetails[] }) {
  if (details.length < 2) return null;
  const options = details.map(({ config }) => new Map(flat(config)));
  const keys = [...new Set(options.flatMap((one) => [...one.keys()]))].filter(
    (key) => new Set(options.map((one) => one.get(key))).size > 1,
  );
  if (keys.length === 0) return <p class="soft">These runs have the same configuration.</p>;
  return (
    <div class="card scroll">
      <h3>Where their configurations differ</h3>
      <table>
        <thead>
          <tr>
            <th scope="col">option</th>
            {details.map(({ name }) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {keys.map((key) => (
            <tr key={key}>
              <th scope="row">{key}</th>
              {options.map((one, i) => (
                <td key={details[i]!.name}>{one.get(key) ?? ""}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** "model.width" -> "96" */
function flat(value: unknown, path = ""): readonly (readonly [string, string])[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [[path, JSON.stringify(value) ?? ""]];
  return Object.entries(value).flatMap(([key, inner]) => flat(inner, path === "" ? key : `${path}.${key}`));
}
