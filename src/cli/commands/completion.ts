import { Argument, Command } from "commander";
import { configSchema, flagsOf, registry } from "../../index.ts";
import { print } from "../output.ts";

/** What a shell can complete behind a command. */
interface Completed {
  readonly name: string;
  readonly description: string;
  readonly words: readonly string[];
}

const shells: Readonly<Record<string, (commands: readonly Completed[]) => string>> = { bash, zsh, fish };

/** @param others all commands but this one. */
export function completionCommand(others: () => Promise<readonly Command[]>): Command {
  return new Command("completion")
    .description('print a script that completes commands and options: eval "$(dblocks completion bash)" in ~/.bashrc, or zsh, or fish')
    .addArgument(new Argument("<shell>").choices(Object.keys(shells)))
    .action(async (shell: string) => print(shells[shell]!((await others()).map(completed))));
}

function completed(command: Command): Completed {
  const flags = command.options.flatMap(({ long }) => long ?? []);
  const takesModel = command.registeredArguments.some((argument) => argument.name() === "model");
  const words = [...command.commands.map((inner) => inner.name()), ...(takesModel ? modelWords() : []), ...flags, "--help"];
  return { name: command.name(), description: command.description(), words: [...new Set(words)] };
}

/** Models, and the options that runs of them have, by whatever method. */
function modelWords(): readonly string[] {
  const flags = registry.models.flatMap((model) =>
    registry.methodsFor(model).flatMap((method) => flagsOf(configSchema(registry, model.name, method.name)).map(({ flag }) => `--${flag}`)),
  );
  return [...registry.models.map(({ name }) => name), ...flags];
}

function bash(commands: readonly Completed[]): string {
  const cases = commands.map(({ name, words }) => `    ${name}) words="${words.join(" ")}" ;;`);
  return `_dblocks() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" words=""
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(" ")} --help --version" -- "$cur"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur") $(compgen -f -- "$cur"))
}
complete -o filenames -F _dblocks dblocks`;
}

function zsh(commands: readonly Completed[]): string {
  return `autoload -U +X bashcompinit && bashcompinit\n${bash(commands)}`;
}

function fish(commands: readonly Completed[]): string {
  const quoted = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  return commands
    .flatMap(({ name, description, words }) => [
      `complete -c dblocks -n __fish_use_subcommand -a ${name} -d ${quoted(description)}`,
      ...words.map((word) => {
        const what = word.startsWith("--") ? `-l ${word.slice(2)}` : `-a ${word}`;
        return `complete -c dblocks -n '__fish_seen_subcommand_from ${name}' ${what}`;
      }),
    ])
    .join("\n");
}
