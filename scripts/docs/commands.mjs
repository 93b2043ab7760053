// The command line: what each command prints for --help.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

export async function commandPages(root) {
  const folder = join(root, "dist/cli/commands");
  const files = readdirSync(folder).filter((name) => name.endsWith(".js"));
  const context = Object.assign(async () => [], { words: [], pluginArgs: [] }); // of `completion`: the other commands
  const commands = await Promise.all(
    files.map(async (file) => {
      const name = file.slice(0, -3);
      const module = await import(pathToFileURL(join(folder, file)).href);
      return module[`${name}Command`](context);
    }),
  );
  const parts = commands
    .flatMap((command) => [command, ...command.commands])
    .map((command) => {
      const path = [];
      for (let one = command; one !== null; one = one.parent) path.unshift(one.name());
      command.configureHelp({ helpWidth: 100 });
      const help = command.helpInformation().replace(/^Usage: .*/, (usage) => usage.replace(/Usage: (dblocks )?/, "dblocks "));
      return `## dblocks ${path.join(" ")}\n\n\`\`\`text\n${help.trim()}\n\`\`\``;
    });
  const intro =
    "# Command line\n\nEvery command has `--help`. Those that take a model list its options too: `dblocks train vit --help`, or the [pages of the models](model-vit). Nearly all have `--json`.";
  return [{ name: "commands", title: "Command line", markdown: [intro, ...parts].join("\n\n") }];
}
