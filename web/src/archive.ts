import { FormatError } from "diffusion-blocks";
import { packTar, unpackTar } from "modern-tar";
import { filesOf, keptRuns, runFolder, writeFile } from "./browserRun.ts";
import { freeName } from "./studio.ts";

/** What of a run's folder a page takes in: what it needs to go on. */
const known =
  /^(config\.json|data\.json|partition\.json|evaluation\.json|metrics\.jsonl|[A-Za-z0-9][A-Za-z0-9._-]*\/step-\d{6,}\.safetensors)$/;

/** A run as a tar archive of one folder, as `dblocks` reads it. */
export async function packRun(run: string): Promise<Uint8Array> {
  const files = await filesOf(await runFolder(run));
  return packTar(
    [...files].map(([path, body]) => ({ header: { name: `${run}/${path}`, size: body.length, type: "file" as const }, body })),
  );
}

/**
 * Takes in a run from a tar archive of its folder.
 *
 * @returns the name under which it is kept.
 * @throws {FormatError} if it is none; nothing is kept then.
 */
export async function unpackRun(archive: Uint8Array, fileName: string): Promise<string> {
  const entries = await unpackTar(archive).catch((error: unknown) => {
    throw new FormatError(
      "noTar",
      { fileName },
      `${fileName} is no tar archive (${error instanceof Error ? error.message : error}). Make one of a run's folder: tar cf run.tar runs/vit`,
    );
  });
  const config = entries.find(({ header }) => /(^|\/)config\.json$/.test(header.name));
  if (config === undefined)
    throw new FormatError(
      "noRun",
      { fileName },
      `${fileName} holds no run: it has no config.json. Make an archive of a run's folder: tar cf run.tar runs/vit`,
    );
  const prefix = config.header.name.slice(0, -"config.json".length);
  const files = entries.flatMap(({ header: { name, type }, data }) => {
    const path = name.slice(prefix.length);
    return type === "file" && data !== undefined && name.startsWith(prefix) && known.test(path) ? [[path, data] as const] : [];
  });
  JSON.parse(new TextDecoder().decode(config.data));
  const wanted = prefix.replace(/\/$/, "").split("/").at(-1) || fileName.replace(/\.tar$/, "");
  const run = freeName(wanted.replace(/[^\w.-]/g, "-") || "run", new Set(await keptRuns()));
  const folder = await runFolder(run, { create: true });
  for (const [path, data] of files) {
    const [first, second] = path.split("/");
    if (second === undefined) await writeFile(folder, first!, data);
    else await writeFile(await folder.getDirectoryHandle(first!, { create: true }), second, data);
  }
  return run;
}

/** Hands a file to the reader of the page. */
export function download(name: string, content: Uint8Array): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content as Uint8Array<ArrayBuffer>], { type: "application/x-tar" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
