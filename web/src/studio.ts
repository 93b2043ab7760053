import { parseRunConfig, registry, UsageError } from "diffusion-blocks";
import { useEffect, useState } from "preact/hooks";
import { keptRuns, readText, removeRun, runFolder } from "./browserRun.ts";
import { Lane } from "./lane.ts";
import { configOf, fromQuery, type Settings, settingsOf, toQuery } from "./settings.ts";

const memory = "diffusion-blocks.studio";

/** What is kept over a reload: which runs stand side by side. The runs themselves are in the private file system. */
interface Kept {
  readonly query: string;
  readonly lanes: readonly { readonly method: string; readonly run: string }[];
}

/** The state of the page. Components read it and are drawn again when it changes, at most eight times a second. */
export class Studio {
  settings: Settings;
  lanes: readonly Lane[] = [];
  /** A run is being made or opened. */
  busy = false;
  message = "";
  #listeners = new Set<() => void>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    const [, query] = location.hash.split("?");
    this.settings = fromQuery(query ?? readKept()?.query ?? "");
    addEventListener("hashchange", () => {
      const [, followed] = location.hash.split("?");
      if (followed !== undefined && followed !== toQuery(this.settings) && this.lanes.length === 0) this.set(fromQuery(followed));
    });
  }

  /** @param now draws at once: a state that decides which buttons there are. */
  readonly changed = (now = false): void => {
    if (now) {
      for (const listener of this.#listeners) listener();
      return;
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      for (const listener of this.#listeners) listener();
    }, 120);
  };

  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(changes: Partial<Settings>): void {
    this.settings = { ...this.settings, ...changes };
    const [tab] = location.hash.split("?");
    history.replaceState(null, "", `${tab || "#explain"}?${toQuery(this.settings)}`);
    this.#keep();
    for (const listener of this.#listeners) listener();
  }

  /** Opens again what stood side by side before the page was loaded, unless a link asks for something else. */
  async restore(): Promise<void> {
    const kept = readKept();
    if (kept === undefined || kept.lanes.length === 0 || kept.query !== toQuery(this.settings)) return;
    const there = new Set(await keptRuns());
    const lanes = kept.lanes.filter(({ run }) => there.has(run));
    if (lanes.length > 0) await this.#openLanes(lanes.map(({ method, run }) => new Lane(method, run, this.changed)));
  }

  /** Starts runs with the present settings, one for each method, or goes on with those that stand there. */
  async start(once = false): Promise<void> {
    if (this.lanes.length === 0 && !(await this.#create())) return;
    await Promise.all(this.lanes.map((lane) => lane.train(once)));
    this.changed();
  }

  async pause(): Promise<void> {
    await Promise.all(this.lanes.map((lane) => lane.pause()));
  }

  /** Puts the runs aside; they stay among those that are kept. */
  reset(): void {
    for (const lane of this.lanes) lane.end();
    this.lanes = [];
    this.message = "";
    this.#keep();
    for (const listener of this.#listeners) listener();
  }

  /** Opens a kept run in place of those that stand there. */
  async show(run: string): Promise<void> {
    const text = await readText(await runFolder(run), "config.json");
    if (text === undefined) throw new UsageError("noRun", { run }, `${run} has no config.json.`);
    const config = parseRunConfig(registry, [JSON.parse(text)], `${run}/config.json`);
    this.reset();
    this.set({ ...settingsOf(config), backend: this.settings.backend });
    await this.#openLanes([new Lane(config.method.name, run, this.changed)]);
  }

  async remove(run: string): Promise<void> {
    if (this.lanes.some((lane) => lane.run === run)) this.reset();
    await removeRun(run);
    this.changed();
  }

  get isTraining(): boolean {
    return this.lanes.some(({ state }) => state === "training");
  }

  async #create(): Promise<boolean> {
    const { settings } = this;
    this.message = "";
    try {
      const configs = settings.methods.map((method) => configOf(settings, method));
      const there = new Set(await keptRuns());
      const lanes = settings.methods.map((method) => new Lane(method, freeName(`${settings.model}-${method}`, there), this.changed));
      await this.#openLanes(lanes, configs);
    } catch (error) {
      this.message = error instanceof Error ? error.message : String(error);
      this.changed();
      return false;
    }
    return this.lanes.every(({ state }) => state === "paused");
  }

  async #openLanes(lanes: readonly Lane[], configs?: readonly Parameters<Lane["open"]>[0]["config"][]): Promise<void> {
    this.lanes = lanes;
    this.busy = true;
    this.changed();
    const { backend } = this.settings;
    const threads = Math.max(1, Math.floor(navigator.hardwareConcurrency / lanes.length));
    try {
      await Promise.all(
        lanes.map((lane, i) => {
          const config = configs?.[i];
          return lane.open({ backend, threads, ...(config && { config }) });
        }),
      );
      this.#keep();
    } finally {
      this.busy = false;
      this.changed();
    }
  }

  #keep(): void {
    const lanes = this.lanes.map(({ method, run }) => ({ method, run }));
    localStorage.setItem(memory, JSON.stringify({ query: toQuery(this.settings), lanes } satisfies Kept));
  }
}

function readKept(): Kept | undefined {
  try {
    return JSON.parse(localStorage.getItem(memory) ?? "null") ?? undefined;
  } catch {
    return undefined;
  }
}

/** "vit-blocks", "vit-blocks-2", … */
export function freeName(wanted: string, taken: ReadonlySet<string>): string {
  for (let i = 1; ; i++) {
    const name = i === 1 ? wanted : `${wanted}-${i}`;
    if (!taken.has(name)) return name;
  }
}

/** Draws a component again when the studio changes. */
export function useStudio(studio: Studio): void {
  const [, draw] = useState(0);
  useEffect(() => studio.listen(() => draw((n) => n + 1)), [studio]);
}
