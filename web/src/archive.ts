import { FormatError } from "diffusion-blocks";
import { packTar, unpackTar } from "modern-tar";
import { filesOf, keptRuns, runFolder, writeFile } from "./browserRun.ts";
import { WorkerClient } from "./lane.ts";
import type { ExportFormat, FileBytes, Requests } from "./protocol.ts";
import { freeName } from "./studio.ts";

/** How a run leaves the page: its folder whole, to go on with, or as files for other software. */
export type ArchiveFormat = "run" | ExportFormat;

/** What of a run's folder a page takes in: what it needs to go on. */
const known =
  /^(config\.json|data\.json|partition\.json|evaluation\.json|metrics\.jsonl|[A-Za-z0-9][A-Za-z0-9._-]*\/step-\d{6,}\.safetensors)$/;
/** What tells that a folder holds a network without the states of its training. */
const network = /^(model\.safetensors(\.index\.json)?|network\.onnx)$/;

/** A kept run as a tar archive of one folder, as `dblocks` reads it. */
export async function packRun(run: string, format: ArchiveFormat): Promise<FileBytes> {
  const folder = format === "run" ? run : `${run}-${format}`;
  const files = format === "run" ? await filesOf(await runFolder(run)) : await ask("export", { run, format });
  const entries = [...files].map(({ name, bytes }) => ({
    header: { name: `${folder}/${name}`, size: bytes.length, type: "file" as const },
    body: bytes,
  }));
  return { name: `${folder}.tar`, bytes: await packTar(entries) };
}

/** Asks a worker of its own: what it computes with is given back when it ends. */
async function ask<Name extends "export" | "import">(name: Name, question: Requests[Name]["ask"]): Promise<Requests[Name]["answer"]> {
  const client = new WorkerClient();
  try {
    return await client.call(name, question);
  } finally {
    client.end();
  }
}

/**
 * Takes in a tar archive of one folder: a run's, or the files of a network, as `dblocks export` writes them.
 *
 * @returns the name under which the run is kept.
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
  const paths = entries.flatMap(({ header, data }) =>
    header.type === "file" && data !== undefined ? [{ name: header.name, bytes: data }] : [],
  );
  const [mark] = paths
    .filter(({ name }) => /(^|\/)(config\.json|network\.onnx)$/.test(name))
    .sort((a, b) => a.name.split("/").length - b.name.split("/").length); // the outermost: a run may hold what was exported of it
  if (mark === undefined)
    throw new FormatError(
      "noRun",
      { fileName },
      `${fileName} holds no run: it has no config.json and no network.onnx. Make an archive of a run's folder: tar cf run.tar runs/vit`,
    );
  const prefix = mark.name.slice(0, mark.name.lastIndexOf("/") + 1);
  const files = paths.flatMap(({ name, bytes }) => (name.startsWith(prefix) ? [{ name: name.slice(prefix.length), bytes }] : []));
  const wanted = prefix.replace(/\/$/, "").split("/").at(-1) || fileName.replace(/\.tar$/, "");
  return files.some(({ name }) => network.test(name)) ? takeNetwork(files, wanted) : takeRun(files, wanted);
}

/** Takes in the files of a network, handed over one by one or from an archive. @returns the name of the run that they become. */
export async function takeNetwork(files: readonly FileBytes[], wanted: string): Promise<string> {
  const run = await freeRun(wanted);
  await ask("import", { run, files });
  return run;
}

async function takeRun(files: readonly FileBytes[], wanted: string): Promise<string> {
  JSON.parse(new TextDecoder().decode(files.find(({ name }) => name === "config.json")!.bytes));
  const run = await freeRun(wanted);
  const folder = await runFolder(run, { create: true });
  for (const { name, bytes } of files) {
    if (!known.test(name)) continue;
    const [first, second] = name.split("/");
    if (second === undefined) await writeFile(folder, first!, bytes);
    else await writeFile(await folder.getDirectoryHandle(first!, { create: true }), second, bytes);
  }
  return run;
}

async function freeRun(wanted: string): Promise<string> {
  return freeName(wanted.replace(/[^\w.-]/g, "-") || "run", new Set(await keptRuns()));
}

/** Hands a file to the reader of the page. */
export function download({ name, bytes }: FileBytes): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>], { type: "application/x-tar" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
