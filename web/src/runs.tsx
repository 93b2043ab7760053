import { useEffect, useState } from "preact/hooks";
import { type ArchiveFormat, download, packRun, takeNetwork, unpackRun } from "./archive.ts";
import { keptRuns } from "./browserRun.ts";
import { Select } from "./controls.tsx";
import { toQuery } from "./settings.ts";
import { type Studio, useStudio } from "./studio.ts";

const formats = [
  { value: "run", title: "the whole run, to go on with" },
  { value: "onnx", title: "ONNX, each block and the whole" },
  { value: "safetensors", title: "safetensors, the weights" },
] as const satisfies readonly { readonly value: ArchiveFormat; readonly title: string }[];

/** Runs that this browser keeps: open, export, delete; and those that are taken in. */
export function Runs({ studio }: { readonly studio: Studio }) {
  useStudio(studio);
  const [runs, setRuns] = useState<readonly string[]>([]);
  const [error, setError] = useState("");
  const [note, setNote] = useState("");
  const [busy, setBusy] = useState(false);
  const [format, setFormat] = useState<ArchiveFormat>("run");
  const list = (): void => void keptRuns().then(setRuns, (failure: unknown) => setError(String(failure)));
  useEffect(list, [studio.lanes]);
  const attempt = (work: () => Promise<void>): void => {
    setError("");
    setNote("");
    setBusy(true);
    work()
      .catch((failure: unknown) => setError(failure instanceof Error ? failure.message : String(failure)))
      .finally(() => {
        setBusy(false);
        list();
      });
  };
  const take = (list: FileList | null): void =>
    attempt(async () => {
      const files = [...(list ?? [])];
      const read = async (file: File) => new Uint8Array(await file.arrayBuffer());
      const archives = files.filter(({ name }) => name.endsWith(".tar"));
      for (const file of archives) setNote(`${file.name} is kept as ${await unpackRun(await read(file), file.name)}.`);
      const others = files.filter((file) => !archives.includes(file));
      if (others.length === 0) return;
      const network = await Promise.all(others.map(async (file) => ({ name: file.name, bytes: await read(file) })));
      setNote(`${others.map(({ name }) => name).join(", ")}: kept as ${await takeNetwork(network, "imported")}.`);
    });
  const open = async (run: string): Promise<void> => {
    await studio.show(run);
    location.hash = `#train?${toQuery(studio.settings)}`;
  };
  const link = `${location.origin}${location.pathname}#train?${toQuery(studio.settings)}`;
  const dropped = (event: DragEvent): void => {
    event.preventDefault();
    take(event.dataTransfer?.files ?? null);
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: files may be dropped here; the field below does the same by keyboard.
    <section onDragOver={(event) => event.preventDefault()} onDrop={dropped}>
      <h2>Runs that this browser keeps</h2>
      <p>
        A run here is the same folder of files that <code>dblocks train</code> writes: configuration, log and checkpoints. Exported and
        unpacked (<code>tar xf run.tar</code>) it is evaluated and trained further by <code>dblocks evaluate RUN</code> and{" "}
        <code>dblocks train --run RUN</code>; and <code>tar cf run.tar -C runs vit</code> makes an archive of a run of yours, to go on with
        it here. Networks come as well: <code>network.onnx</code>, or <code>config.json</code>, <code>data.json</code> and{" "}
        <code>model.safetensors</code> together, of <code>dblocks export</code>; or the files of a vision transformer from elsewhere.
      </p>
      <label class="field drop">
        <span class="name">Import a run (.tar) or the files of a network, or drop them here</span>
        <input
          type="file"
          accept=".tar,.onnx,.safetensors,.json"
          multiple
          onChange={(event) => {
            take(event.currentTarget.files);
          }}
        />
      </label>
      {busy && <output class="note">Working …</output>}
      {note !== "" && <output class="note">{note}</output>}
      {error !== "" && (
        <p role="alert" class="error">
          {error}
        </p>
      )}
      <div class="narrow">
        <Select label="Export as" value={format} choices={formats} onChange={(value) => setFormat(value as ArchiveFormat)} />
      </div>
      {runs.length === 0 ? (
        <p class="soft">None yet.</p>
      ) : (
        <div class="scroll">
          <table>
            <tbody>
              {runs.map((run) => {
                const shown = studio.lanes.find((lane) => lane.run === run);
                return (
                  <tr key={run}>
                    <th scope="row">{run}</th>
                    <td class="soft">{shown === undefined ? "" : "open"}</td>
                    <td class="actions">
                      <button type="button" disabled={busy || studio.isTraining} onClick={() => attempt(() => open(run))}>
                        Open
                      </button>{" "}
                      <button
                        type="button"
                        disabled={busy || shown?.state === "training"}
                        onClick={() => attempt(async () => download(await packRun(run, format)))}
                      >
                        Export
                      </button>{" "}
                      <button
                        type="button"
                        disabled={busy || shown?.state === "training"}
                        onClick={() => attempt(() => studio.remove(run))}
                      >
                        Delete
                      </button>
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      <h3>A link to these settings</h3>
      <p>
        <a href={link}>{link}</a>
      </p>
    </section>
  );
}
