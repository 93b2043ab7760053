import { readFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";

/** "diffusion-blocks 0.2.0, Node v22.1.0" */
export function softwareVersions(): string {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
  return `diffusion-blocks ${version}, Node ${process.version}`;
}

/** "linux x64, Intel(R) Xeon(R), 25 GB" */
export function machineText(): string {
  const processor = cpus()[0]?.model.trim() ?? "unknown processor";
  return `${process.platform} ${process.arch}, ${processor}, ${(totalmem() / 1e9).toFixed(0)} GB`;
}
