import { Command } from "commander";
import { serveStudio } from "../../node.ts";
import { print, say } from "../output.ts";
import { wholeNumber } from "../words.ts";

export function studioCommand(): Command {
  return new Command("studio")
    .description("serve the studio: a page that explains the method and trains networks in the browser")
    .option("--port <n>", "port on 127.0.0.1; 0 takes any that is free", wholeNumber, 4178)
    .action(async ({ port }: { readonly port: number }) => {
      const server = await serveStudio({ port });
      print(server.url);
      say("Open it in a browser; Ctrl+C ends it.");
      await new Promise<void>((resolve) => {
        process.once("SIGINT", resolve);
        process.once("SIGTERM", resolve);
      });
      await server.close();
    });
}
