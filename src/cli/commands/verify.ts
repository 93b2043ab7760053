import { readFile, stat } from "node:fs/promises";
import { Command } from "commander";
import { DataError, openDevice, registry } from "../../index.ts";
import { exitCodes, openTrainedRun, referenceTolerance, renderTable, verifyReferenceFile, verifyRun } from "../../node.ts";
import { print, printJson } from "../output.ts";

export function verifyCommand(): Command {
  return new Command("verify")
    .description("recompute a reference file, or prove on a trained run that its blocks fit together")
    .argument("<path>", "a reference file (.safetensors), or the folder of a run")
    .option("--json", "print the result as JSON")
    .action(async (path: string, { json }) => {
      const info = await stat(path).catch((cause: unknown) => {
        throw new DataError(
          "noPath",
          { path },
          `There is nothing at ${path}. Give a reference file (.safetensors) or the folder of a run.`,
          { cause },
        );
      });
      if (!(await (info.isDirectory() ? verifyFolder(path, json) : verifyFile(path, json)))) process.exitCode = exitCodes.failed;
    });
}

async function verifyFile(path: string, json: boolean): Promise<boolean> {
  await using device = await openDevice("auto");
  const { rows, worst } = await verifyReferenceFile(await readFile(path), device);
  const ok = worst.relativeError <= referenceTolerance;
  if (json) printJson({ ok, tolerance: referenceTolerance, worst, rows });
  else {
    print(
      renderTable(
        ["block", "tensor", "kind", { title: "relative error", align: "right" }],
        rows.map((row) => [row.block === undefined ? "all" : String(row.block), row.name, row.kind, row.relativeError.toExponential(2)]),
      ),
    );
    print(
      `${ok ? "all" : "NOT all"} of ${rows.length} tensors agree within ${referenceTolerance}; the worst is ${worst.name} with ${worst.relativeError.toExponential(2)}`,
    );
  }
  return ok;
}

async function verifyFolder(path: string, json: boolean): Promise<boolean> {
  const { folder, method, hash } = await openTrainedRun(registry, path);
  const checks = await verifyRun({ folder, method, configHash: hash });
  const ok = checks.every((check) => check.ok);
  if (json) printJson({ ok, checks });
  else for (const check of checks) print(`${check.ok ? "ok    " : "FAILED"} ${check.name}: ${check.detail}`);
  return ok;
}
