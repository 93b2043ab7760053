import { Command } from "commander";
import { anyConfigJsonSchema, registry } from "../../index.ts";
import { printJson } from "../output.ts";

export function configCommand(): Command {
  return new Command("config")
    .description("about config.json")
    .addCommand(
      new Command("schema")
        .description("print the JSON Schema of config.json, for editors: every model, method and option with its default")
        .action(() => printJson(anyConfigJsonSchema(registry))),
    );
}
