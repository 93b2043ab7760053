import { Command } from "commander";
import { registry, UsageError } from "../../index.ts";
import { serveStudio } from "../../node.ts";
import { print, say } from "../output.ts";
import { wholeNumber } from "../words.ts";

export function studioCommand(): Command {
  return new Command("studio")
    .description("serve the studio: a page that explains the method, trains networks in the browser, and shows runs while they train")
    .argument("[runs]", "folder of runs to look at, such as runs")
    .option("--control", "let the page stop these runs; without it nothing can be changed")
    .option("--port <n>", "port on 127.0.0.1; 0 takes any that is free", wholeNumber, 4178)
    .action(async (runs: string | undefined, { port, control }: { readonly port: number; readonly control?: boolean }) => {
      if (control && runs === undefined)
        throw new UsageError("noRuns", {}, "--control is for a folder of runs: dblocks studio runs --control");
      const server = await serveStudio({ port, runs, control: control ?? false, registry });
      print(`${server.url}${runs === undefined ? "" : "#live"}`);
      say("Open it in a browser; Ctrl+C ends it.");
      await new Promise<void>((resolve) => {
        process.once("SIGINT", resolve);
        process.once("SIGTERM", resolve);
      });
      await server.close();
    });
}
