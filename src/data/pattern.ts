/**
 * Whether a regular expression may take time that grows exponentially with the text: a group that is repeated without bound and has a
 * repetition without bound, or alternatives, in it. Patterns of tokenizers have none; some that are harmless are taken for such.
 *
 * @param source of a regular expression in the syntax of JavaScript or of Rust's `regex`.
 */
export function mayExplode(source: string): boolean {
  /** Of each open group: whether there is a repetition or a choice in it. */
  const groups: boolean[] = [];
  let isInClass = false;
  let closed: boolean | undefined; // of the group that has just ended
  for (let at = 0; at < source.length; at++) {
    const character = source[at]!;
    const ended = closed;
    closed = undefined;
    if (character === "\\") at++;
    else if (isInClass) isInClass = character !== "]";
    else if (character === "[") isInClass = true;
    else if (character === "(") groups.push(false);
    else if (character === "|" && groups.length > 0) groups[groups.length - 1] = true;
    else if (character === ")") {
      closed = groups.pop() ?? false;
      if (closed && groups.length > 0) groups[groups.length - 1] = true;
    } else if (isUnbounded(source, at)) {
      if (ended === true) return true;
      if (groups.length > 0) groups[groups.length - 1] = true;
    }
  }
  return false;
}

/** Whether `*`, `+` or `{n,}` stands at a place. */
function isUnbounded(source: string, at: number): boolean {
  return source[at] === "*" || source[at] === "+" || /^\{\d+,\}/.test(source.slice(at, at + 16));
}
