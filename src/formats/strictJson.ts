import { FormatError } from "../errors.ts";

/**
 * `JSON.parse` that refuses an object with the same key twice, where `JSON.parse` keeps the last one silently:
 * two readers of one file must not see two different contents.
 *
 * @param what the text's name in messages, e.g. "config.json".
 * @throws {FormatError} `notJson` if the text is not JSON, `duplicateKey` if a key stands twice in one object, `tooDeep` if brackets are
 *   nested more than 100 deep.
 */
export function parseStrictJson(text: string, what: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new FormatError("notJson", { what }, `${what} is not valid JSON: ${(cause as Error).message}`, { cause });
  }
  const { key, depth } = inspect(text);
  if (depth > maxDepth) {
    const message = `${what} has brackets nested ${depth} deep; ${maxDepth} are allowed. It is damaged, or no file of this kind.`;
    throw new FormatError("tooDeep", { what, depth }, message);
  }
  if (key !== undefined)
    throw new FormatError("duplicateKey", { what, key }, `${what} has the key ${JSON.stringify(key)} twice in one object.`);
  return value;
}

/** Deeper than any file of this library, and far from where a recursion over it would end. */
const maxDepth = 100;

/** The first key that stands twice in one object of `text`, which must be valid JSON already, and how deep its brackets are nested. */
function inspect(text: string): { readonly key: string | undefined; readonly depth: number } {
  let twice: string | undefined;
  let depth = 0;
  const open: (Set<string> | undefined)[] = []; // one entry per open bracket: the keys of an object, nothing for an array
  let expectsKey = false;
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case "{":
        open.push(new Set());
        depth = Math.max(depth, open.length);
        expectsKey = true;
        break;
      case "[":
        open.push(undefined);
        depth = Math.max(depth, open.length);
        expectsKey = false;
        break;
      case "}":
      case "]":
        open.pop();
        expectsKey = false;
        break;
      case ",":
        expectsKey = open.at(-1) !== undefined;
        break;
      case '"': {
        const end = endOfString(text, at);
        if (expectsKey) {
          const key = JSON.parse(text.slice(at, end)) as string; // "a" and "\u0061" are the same key
          const keys = open.at(-1)!;
          if (keys.has(key)) twice ??= key;
          keys.add(key);
          expectsKey = false;
        }
        at = end - 1;
      }
    }
  }
  return { key: twice, depth };
}

/** Index just behind the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}
