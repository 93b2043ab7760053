/** A word as a POSIX shell takes it. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** A command as a POSIX shell takes it. */
export function shellCommand(words: readonly string[]): string {
  return words.map(quoted).join(" ");
}
