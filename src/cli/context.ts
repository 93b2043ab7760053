/** What a command is made from: the words behind its name, of which some have options that depend on them. */
export interface CommandContext {
  readonly words: readonly string[];
  /** Arguments that every process of a run needs: plugins. */
  readonly pluginArgs: readonly string[];
}
