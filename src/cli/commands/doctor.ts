import { totalmem } from "node:os";
import { Command } from "commander";
import { availableBackends } from "../../index.ts";
import { availableBytes, cpuCount } from "../../node.ts";
import { bytes, print, printJson } from "../output.ts";

/** The oldest Node that the package runs on; package.json says the same to npm. */
const oldestNode = 20;

export function doctorCommand(): Command {
  return new Command("doctor")
    .description("print what is installed, what is missing and the command that mends it")
    .option("--json", "print the result as JSON")
    .action(async ({ json }, command: Command) => {
      const report = {
        version: command.parent?.version() ?? null,
        node: process.version,
        nodeIsSupported: Number.parseInt(process.versions.node, 10) >= oldestNode,
        platform: `${process.platform} ${process.arch}`,
        threads: cpuCount(),
        memoryBytes: { total: totalmem(), available: availableBytes() ?? null },
        backends: await availableBackends(),
      };
      if (json) return printJson(report);
      const row = (name: string, text: string): void => print(`${name.padEnd(16)} ${text}`);
      row("diffusion-blocks", report.version ?? "unknown");
      row(
        "node",
        `${report.node} on ${report.platform}${report.nodeIsSupported ? "" : ` is too old; to mend it: install Node ${oldestNode} or newer (https://nodejs.org)`}`,
      );
      row("threads", String(report.threads));
      const { total, available } = report.memoryBytes;
      row("memory", `${bytes(total)}${available === null ? "" : `, ${bytes(available)} available`}`);
      for (const { name, available: found, version, detail, fix } of report.backends) {
        row(name, `${found ? "found" : "missing"}${version ? ` (ONNX Runtime ${version})` : ""}: ${detail.replace(/\s+/g, " ")}`);
        if (fix !== undefined) row("", `to mend it: ${fix}`);
      }
    });
}
