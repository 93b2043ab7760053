import { Command } from "commander";
import { bytes, print, printJson } from "../output.ts";

export function doctorCommand(): Command {
  return new Command("doctor")
    .description("print what is installed, what is missing and how to mend it")
    .option("--json", "print the result as JSON")
    .action(async ({ json }) => {
      const { availableBackends, availableBytes, cpuCount } = await import("../../runtime/index.ts");
      const report = {
        node: process.version,
        platform: `${process.platform} ${process.arch}`,
        threads: cpuCount(),
        memoryBytes: availableBytes() ?? null,
        backends: await availableBackends(),
      };
      if (json) return printJson(report);
      print(`node      ${report.node} on ${report.platform}`);
      print(`threads   ${report.threads}`);
      print(`memory    ${report.memoryBytes === null ? "unknown" : `${bytes(report.memoryBytes)} available`}`);
      for (const { name, available, version, detail, fix } of report.backends) {
        print(`${name.padEnd(9)} ${available ? "found" : "missing"}${version ? ` (ONNX Runtime ${version})` : ""}: ${detail}`);
        if (fix !== undefined) print(`          to mend it: ${fix}`);
      }
    });
}
