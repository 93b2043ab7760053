/** The words behind the name of a command: some commands have options that depend on them. */
export interface CommandContext {
  readonly words: readonly string[];
  /** Arguments that every process of a run needs: plugins. */
  readonly pluginArgs: readonly string[];
}
