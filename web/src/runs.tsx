import { useEffect, useState } from "preact/hooks";
import { download, packRun, unpackRun } from "./archive.ts";
import { keptRuns } from "./browserRun.ts";
import { toQuery } from "./settings.ts";
import { type Studio, useStudio } from "./studio.ts";

/** Runs that this browser keeps: open, export, delete; and those that are taken in. */
export function Runs({ studio }: { readonly studio: Studio }) {
  useStudio(studio);
  const [runs, setRuns] = useState<readonly string[]>([]);
  const [error, setError] = useState("");
  const [note, setNote] = useState("");
  const list = (): void => void keptRuns().then(setRuns, (failure: unknown) => setError(String(failure)));
  useEffect(list, [studio.lanes]);
  const attempt = (work: () => Promise<void>): void => {
    setError("");
    setNote("");
    work()
      .catch((failure: unknown) => setError(failure instanceof Error ? failure.message : String(failure)))
      .finally(list);
  };
  const take = (files: FileList | null): void =>
    attempt(async () => {
      for (const file of files ?? []) {
        const run = await unpackRun(new Uint8Array(await file.arrayBuffer()), file.name);
        setNote(`${file.name} is kept as ${run}.`);
      }
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
        it here.
      </p>
      <label class="field drop">
        <span class="name">Import a run (.tar), or drop it here</span>
        <input
          type="file"
          accept=".tar"
          multiple
          onChange={(event) => {
            take(event.currentTarget.files);
          }}
        />
      </label>
      {note !== "" && <output class="note">{note}</output>}
      {error !== "" && (
        <p role="alert" class="error">
          {error}
        </p>
      )}
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
                      <button type="button" disabled={studio.isTraining} onClick={() => attempt(() => open(run))}>
                        Open
                      </button>{" "}
                      <button
                        type="button"
                        disabled={shown?.state === "training"}
                        onClick={() => attempt(async () => download(`${run}.tar`, await packRun(run)))}
                      >
                        Export
                      </button>{" "}
                      <button type="button" disabled={shown?.state === "training"} onClick={() => attempt(() => studio.remove(run))}>
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
