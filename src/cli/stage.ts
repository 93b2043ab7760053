let current = "reading its options";

/** Notes what a command is about to wait for, in words that complete "while …": "reading data/cifar". */
export function enterStage(words: string): void {
  current = words;
}

/** What the command waits for. */
export function stage(): string {
  return current;
}
