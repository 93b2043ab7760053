/** Files of a data set that are not read, counted by reason, to be said once. */
export class PassedOver {
  readonly #found = new Map<string, { count: number; readonly first: string }>();

  /** @param reason in the plural, as "hidden files". */
  add(reason: string, path: string): void {
    const found = this.#found.get(reason);
    if (found === undefined) this.#found.set(reason, { count: 1, first: path });
    else found.count++;
  }

  /** "passed over: 3 hidden files (the first: a/.b), 1 …"; undefined if nothing was. */
  text(): string | undefined {
    if (this.#found.size === 0) return undefined;
    const parts = [...this.#found].map(([reason, { count, first }]) => `${reason}: ${count} (${count === 1 ? "" : "the first: "}${first})`);
    return `passed over: ${parts.join("; ")}`;
  }
}
