import { useEffect, useState } from "preact/hooks";
import { binned, Chart, type Line, shortNumber } from "./chart.tsx";
import { Bar, blockColour, megabytes, Select, Slider, unitColour } from "./controls.tsx";
import { type Lane, type LaneState, WorkerClient } from "./lane.ts";
import { dataNames, embedded, type HandedFile, takeData } from "./ownData.ts";
import type { Description, UnitMemory } from "./protocol.ts";
import { configOf, kinds, type ModelName, methodsOf, methodTitles, type Settings } from "./settings.ts";
import { type Studio, useStudio } from "./studio.ts";

export function Train({ studio }: { readonly studio: Studio }) {
  useStudio(studio);
  const { lanes, settings, busy, message } = studio;
  return (
    <section>
      <h2>Train in this tab</h2>
      <Form studio={studio} />
      <Data studio={studio} />
      <Buttons studio={studio} />
      {message !== "" && (
        <p role="alert" class="error">
          {message}
        </p>
      )}
      <p class="note" aria-live="polite">
        {busy ? "The network is being built and its graph compiled …" : <Where studio={studio} />}
      </p>
      {lanes.length > 0 && (
        <>
          <div class="lanes">
            {lanes.map((lane) => (
              <LaneCard key={lane.run} lane={lane} />
            ))}
          </div>
          <Curves lanes={lanes} />
          <LossOverNoise lanes={lanes} />
        </>
      )}
      <Memory settings={settings} />
    </section>
  );
}

function Where({ studio }: { readonly studio: Studio }) {
  const opened = studio.lanes.find(({ opened: one }) => one !== undefined)?.opened;
  const cores = navigator.hardwareConcurrency;
  if (opened !== undefined)
    return (
      <>
        Computing by{" "}
        {opened.device === "webgpu" ? "WebGPU" : `WebAssembly, ${opened.threads} ${opened.threads === 1 ? "thread" : "threads"}`} in{" "}
        {studio.lanes.length === 1 ? "a worker" : `${studio.lanes.length} workers`}; nothing leaves this machine.
      </>
    );
  return crossOriginIsolated ? (
    <>This page may use all {cores} threads. Nothing leaves this machine.</>
  ) : (
    <>
      This page is not cross-origin isolated (its server sends no COOP and COEP headers), so it computes with one thread. Nothing leaves
      this machine.
    </>
  );
}

function Form({ studio }: { readonly studio: Studio }) {
  const { settings, lanes } = studio;
  const fixed = lanes.length > 0;
  const set = (changes: Partial<Settings>): void => studio.set(changes);
  const number = (name: "width" | "length" | "batchSize" | "steps" | "seed", label: string, choices: readonly number[]) => (
    <Select
      label={label}
      value={settings[name]}
      disabled={fixed}
      choices={[...new Set([...choices, settings[name]])].sort((a, b) => a - b).map((value) => ({ value, title: String(value) }))}
      onChange={(value) => set({ [name]: Number(value) })}
    />
  );
  return (
    <form class="controls" onSubmit={(event) => event.preventDefault()}>
      <Select
        label="Network"
        value={settings.model}
        disabled={fixed}
        choices={Object.entries(kinds).map(([value, { title }]) => ({ value, title }))}
        onChange={(model) => set({ ...kinds[model as ModelName].start, backend: settings.backend })}
      />
      <fieldset disabled={fixed}>
        <legend>Trained side by side</legend>
        {methodsOf(settings.model).map(({ name, title }) => (
          <label key={name} class="check">
            <input
              type="checkbox"
              checked={settings.methods.includes(name)}
              onChange={(event) => {
                const methods = methodsOf(settings.model)
                  .map((one) => one.name)
                  .filter((one) => (one === name ? event.currentTarget.checked : settings.methods.includes(one)));
                if (methods.length > 0) set({ methods });
                else event.currentTarget.checked = true;
              }}
            />
            {title}
          </label>
        ))}
      </fieldset>
      <Slider
        label="Blocks B"
        value={settings.numBlocks}
        min={1}
        max={settings.numLayers}
        step={1}
        disabled={fixed}
        onChange={(numBlocks) => set({ numBlocks })}
      />
      <Slider
        label="Layers"
        value={settings.numLayers}
        min={1}
        max={12}
        step={1}
        disabled={fixed}
        onChange={(numLayers) => set({ numLayers, numBlocks: Math.min(settings.numBlocks, numLayers) })}
      />
      {number("width", "Width", [32, 48, 64, 96, 128])}
      {kinds[settings.model].fields.map(({ name, label, choices }) => number(name, label, choices))}
      {number("batchSize", "Batch", [8, 16, 32, 64])}
      {number("steps", "Steps of each block", [50, 200, 600, 1500, 4000])}
      {number("seed", "Seed", [0, 1, 2, 3])}
      <Rate studio={studio} />
      <Select
        label="Order of the blocks"
        value={settings.order}
        disabled={fixed}
        choices={[
          { value: "interleaved", title: "in turn, step by step" },
          { value: "sequential", title: "one after another" },
        ]}
        onChange={(order) => set({ order: order as Settings["order"] })}
      />
      {"gpu" in navigator && (
        <Select
          label="Computes on"
          value={settings.backend}
          disabled={fixed}
          choices={[
            { value: "wasm", title: "WebAssembly" },
            { value: "webgpu", title: "WebGPU" },
          ]}
          onChange={(backend) => set({ backend: backend as Settings["backend"] })}
        />
      )}
    </form>
  );
}

/** What is learned from; files of one's own are taken by a field, or dropped. */
function Data({ studio }: { readonly studio: Studio }) {
  const { settings, lanes } = studio;
  const { modality } = kinds[settings.model];
  const [names, setNames] = useState<readonly string[]>([embedded]);
  const [note, setNote] = useState("");
  const [error, setError] = useState("");
  const fixed = lanes.length > 0;
  useEffect(() => {
    dataNames(modality).then(setNames, (failure: unknown) => setError(String(failure)));
  }, [modality, note]);
  const take = (files: readonly HandedFile[]): void => {
    setError("");
    takeData(files, (share) => setNote(`Decoding: ${(100 * share).toFixed(0)} %`))
      .then(({ modality: found, name, note: text }) => {
        const model = found === modality ? settings.model : found === "text" ? "masked-diffusion" : "vit";
        studio.set({ ...(model !== settings.model && kinds[model].start), data: name });
        setNote(text);
      })
      .catch((failure: unknown) => {
        setNote("");
        setError(failure instanceof Error ? failure.message : String(failure));
      });
  };
  const chosen = (event: { readonly currentTarget: HTMLInputElement }): void => {
    const { files } = event.currentTarget;
    if (files !== null && files.length > 0) take([...files].map((file) => ({ path: file.webkitRelativePath || file.name, file })));
  };
  return (
    <fieldset class="own" disabled={fixed} {...dropped(fixed, take, setError)}>
      <legend>Learns from</legend>
      <Select
        label="Data"
        value={settings.data}
        disabled={fixed}
        choices={[...new Set([...names, settings.data])].map((value) => ({
          value,
          title: value === embedded ? (modality === "text" ? "embedded sentences" : "embedded pictures") : value,
        }))}
        onChange={(data) => studio.set({ data })}
      />
      <label class="field">
        <span class="name">A text file of yours, or drop it here</span>
        <input type="file" accept=".txt,text/plain" disabled={fixed} onChange={chosen} />
      </label>
      <label class="field">
        <span class="name">A folder of pictures, one folder for each class</span>
        <input type="file" {...{ webkitdirectory: true }} disabled={fixed} onChange={chosen} />
      </label>
      <label class="field">
        <span class="name">IDX files as of MNIST: images and labels, .gz too</span>
        <input type="file" multiple disabled={fixed} onChange={chosen} />
      </label>
      {note !== "" && <output class="note">{note}</output>}
      {error !== "" && (
        <p role="alert" class="error">
          {error}
        </p>
      )}
    </fieldset>
  );
}

/** Files and folders that are dropped, with their paths. */
function dropped(fixed: boolean, take: (files: readonly HandedFile[]) => void, fail: (message: string) => void) {
  return {
    onDragOver: (event: DragEvent) => event.preventDefault(),
    onDrop: (event: DragEvent) => {
      event.preventDefault();
      if (fixed) return;
      const entries = [...(event.dataTransfer?.items ?? [])].flatMap((item) => item.webkitGetAsEntry() ?? []);
      Promise.all(entries.map((entry) => filesBelow(entry)))
        .then((files) => take(files.flat()))
        .catch((failure: unknown) => fail(String(failure)));
    },
  };
}

async function filesBelow(entry: FileSystemEntry): Promise<HandedFile[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return [{ path: entry.fullPath.slice(1), file }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: HandedFile[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject)); // a hundred at a time
    if (some.length === 0) return found;
    for (const one of some) found.push(...(await filesBelow(one)));
  }
}

/** The peak learning rate; it can be changed while a run trains. */
function Rate({ studio }: { readonly studio: Studio }) {
  const { learningRate } = studio.settings;
  const change = (text: string): void => {
    const value = Number(text);
    if (!(value > 0) || value === learningRate) return;
    studio.set({ learningRate: value });
    for (const lane of studio.lanes) if (lane.opened !== undefined) void lane.changeRate(value);
  };
  return (
    <label class="field">
      <span class="name">Learning rate</span>
      <input
        disabled={studio.busy}
        type="number"
        min="0.00001"
        max="1"
        step="any"
        value={learningRate}
        onChange={(event) => change(event.currentTarget.value)}
      />
    </label>
  );
}

function Buttons({ studio }: { readonly studio: Studio }) {
  const { lanes, busy, isTraining } = studio;
  const canGoOn = lanes.length === 0 || lanes.some(({ state }) => state === "paused");
  const canEvaluate = !busy && lanes.some(({ state }) => state === "paused" || state === "finished");
  return (
    <div class="buttons">
      <button type="button" class="primary" disabled={busy || isTraining || !canGoOn} onClick={() => void studio.start()}>
        {lanes.length === 0 ? "Start" : "Go on"}
      </button>
      <button type="button" disabled={!isTraining} onClick={() => void studio.pause()}>
        Pause
      </button>
      <button type="button" disabled={busy || isTraining || !canGoOn} onClick={() => void studio.start(true)}>
        One step
      </button>
      <button type="button" disabled={!canEvaluate} onClick={() => void Promise.all(lanes.map((lane) => lane.evaluate()))}>
        Evaluate
      </button>
      <button type="button" disabled={busy || isTraining || lanes.length === 0} onClick={() => studio.reset()}>
        New run
      </button>
    </div>
  );
}

const stateTexts: Readonly<Record<LaneState, string>> = {
  closed: "not open",
  opening: "opening …",
  paused: "paused, saved",
  training: "training",
  finished: "finished",
  failed: "could not be opened",
};

function LaneCard({ lane }: { readonly lane: Lane }) {
  const { opened, done, state, samplesPerSecond, evaluated, error } = lane;
  return (
    <article class="card" data-run={lane.run} data-state={state}>
      <h3>
        {methodTitles[lane.method] ?? lane.method} <span class="soft">{lane.run}</span>
      </h3>
      <p class="soft">
        {stateTexts[state]}
        {samplesPerSecond > 0 && `, ${samplesPerSecond.toFixed(0)} samples/s`}
      </p>
      {opened?.units.map((unit, i) => {
        const { losses, norms } = lane.curve(unit);
        const steps = done[unit] ?? 0;
        return (
          <div key={unit} class="unit">
            <span>{unit}</span>
            <Bar share={steps / opened.steps} colour={unitColour(lane.method, i)} text={`${steps}/${opened.steps}`} />
            <span class="soft">
              {losses.length > 0
                ? `loss ${recent(losses)}, gradient ${recent(norms)}`
                : `${(opened.memory[i]!.parameters / 4e3).toFixed(0)} thousand parameters`}
            </span>
          </div>
        );
      })}
      {evaluated !== undefined && (
        <details open>
          <summary data-score={evaluated.value}>
            {evaluated.title}: {evaluated.value.toFixed(evaluated.digits)}
          </summary>
          <pre>{evaluated.text}</pre>
        </details>
      )}
      {error !== "" && (
        <p role="alert" class="error">
          {error}
        </p>
      )}
    </article>
  );
}

/** The mean of the last values. */
function recent(values: readonly number[]): string {
  const last = values.slice(-10);
  return shortNumber(last.reduce((sum, value) => sum + value, 0) / last.length);
}

interface Named {
  readonly label: string;
  readonly colour: string;
  readonly dashed: boolean;
  readonly lane: Lane;
  readonly unit: string;
}

function unitsOf(lanes: readonly Lane[]): readonly Named[] {
  return lanes.flatMap((lane) =>
    (lane.opened?.units ?? []).map((unit, i, { length }) => ({
      label: length > 1 ? unit : (methodTitles[lane.method] ?? lane.method),
      colour: unitColour(lane.method, i),
      dashed: lane.method === "shallow-twin",
      lane,
      unit,
    })),
  );
}

function Curves({ lanes }: { readonly lanes: readonly Lane[] }) {
  const units = unitsOf(lanes);
  const chart = (title: string, yTitle: string, of: "losses" | "accuracies" | "norms") => {
    const { x, lines } = binned(units.map(({ lane, unit }) => ({ steps: lane.curve(unit).steps, values: lane.curve(unit)[of] })));
    if (of !== "losses" && lines.every((line) => line.every((value) => value === null))) return null;
    const shown = units.map(({ label, colour, dashed }, i): Line => ({ label, colour, dashed, values: lines[i]! }));
    const last = shown.map(({ label, values }) => `${label} ${shortNumber(values.findLast((value) => value !== null) ?? Number.NaN)}`);
    return <Chart {...{ title, yTitle, x }} xTitle="step" lines={shown} summary={`at present ${last.join(", ")}`} />;
  };
  const lossUnit = lanes[0]?.opened?.lossUnit ?? "";
  return (
    <div class="charts">
      {chart("Training loss of each block", lossUnit, "losses")}
      {chart("Accuracy on training batches", "share", "accuracies")}
      {chart("Gradient norm", "norm", "norms")}
    </div>
  );
}

function LossOverNoise({ lanes }: { readonly lanes: readonly Lane[] }) {
  const noisy = lanes.filter(({ opened }) => opened?.axis === "sigma" && opened.ranges.length > 0);
  const lane = noisy[0];
  if (lane?.opened === undefined) return null;
  const levels = [...lane.lossByNoise].sort((a, b) => a.sigma - b.sigma);
  const { trainingRanges, ranges, units, lossUnit } = lane.opened;
  return (
    <div class="aside">
      <p>
        <button
          type="button"
          disabled={lane.state !== "paused" && lane.state !== "finished"}
          onClick={() => void lane.measureLossByNoise()}
        >
          Measure the loss over σ
        </button>{" "}
        <span class="soft">on test pictures, of what was saved last</span>
      </p>
      {levels.length > 0 && (
        <Chart
          title="Loss over the noise level, with the ranges of the blocks"
          xTitle="σ, logarithmic"
          yTitle={lossUnit}
          logX
          x={levels.map(({ sigma }) => sigma)}
          lines={units.map((label, block) => ({
            label,
            colour: blockColour(block),
            values: levels.map((level) => (level.block === block ? level.loss : null)),
          }))}
          marks={ranges.slice(1).map(([, high]) => high)}
          bands={trainingRanges.map(([from, to], block) => ({ from, to, colour: blockColour(block) }))}
          summary={levels.map(({ sigma, loss }) => `${shortNumber(loss)} at ${shortNumber(sigma)}`).join(", ")}
        />
      )}
    </div>
  );
}

const parts = [
  { name: "parameters", title: "parameters", colour: "--c0" },
  { name: "gradients", title: "gradients", colour: "--c1" },
  { name: "optimizer", title: "optimiser", colour: "--c2" },
  { name: "activations", title: "activations", colour: "--c3" },
] as const satisfies readonly { readonly name: keyof UnitMemory; readonly title: string; readonly colour: string }[];

const totalOf = (unit: UnitMemory): number => unit.parameters + unit.gradients + unit.optimizer + unit.activations;

/** A worker that only traces: predictions of memory while nothing trains. */
let planner: WorkerClient | undefined;

/** What a step of the whole network needs in memory, beside what a step of each block needs. */
function Memory({ settings }: { readonly settings: Settings }) {
  const [plan, setPlan] = useState<readonly (readonly [string, Description])[]>([]);
  const [fault, setFault] = useState("");
  const { model, numBlocks, numLayers, width, batchSize, patchSize, length } = settings;
  useEffect(() => {
    let isLate = false;
    const timer = setTimeout(async () => {
      planner ??= new WorkerClient();
      try {
        const found: (readonly [string, Description])[] = [];
        for (const method of ["end-to-end", "blocks"])
          found.push([method, await planner.call("describe", { config: configOf(settings, method) })]);
        if (!isLate) [setPlan(found), setFault("")];
      } catch (error) {
        if (!isLate) [setPlan([]), setFault(error instanceof Error ? error.message : String(error))];
      }
    }, 250);
    return () => {
      isLate = true;
      clearTimeout(timer);
    };
  }, [model, numBlocks, numLayers, width, batchSize, patchSize, length]);
  const units = plan.flatMap(([method, { memory }]) =>
    memory.map((unit) => ({ ...unit, unit: method === "blocks" ? unit.unit : "end to end" })),
  );
  const most = Math.max(1, ...units.map(totalOf));
  return (
    <div class="card memory">
      <h3>Memory of a training step, predicted</h3>
      {fault !== "" && (
        <p role="alert" class="error">
          {fault}
        </p>
      )}
      <p class="legend">
        {parts.map(({ title, colour }) => (
          <span key={title}>
            <i class={`dot ${colour.slice(2)}`} /> {title}
          </span>
        ))}
      </p>
      <table>
        <tbody>
          {units.map((unit) => (
            <tr key={unit.unit}>
              <th scope="row">{unit.unit}</th>
              <td class="wide">
                <svg viewBox="0 0 100 4" preserveAspectRatio="none" role="img" aria-label={`${unit.unit}: ${megabytes(totalOf(unit))}`}>
                  {parts.map(({ name, colour }, i) => (
                    <rect
                      key={name}
                      class={colour.slice(2)}
                      x={(100 * parts.slice(0, i).reduce((sum, part) => sum + unit[part.name], 0)) / most}
                      width={(100 * unit[name]) / most}
                      height="4"
                    />
                  ))}
                </svg>
              </td>
              <td class="right">{megabytes(totalOf(unit))}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {units.length > 1 && (
        <p class="note">
          One block at a time is in memory: the largest needs {(most / Math.max(...units.slice(1).map(totalOf))).toFixed(1)} times less than
          the whole network, besides what the engine needs itself.
        </p>
      )}
    </div>
  );
}
