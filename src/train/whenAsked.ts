/** What `make` gives, made when it is first asked for. */
export function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** An object whose values are made when they are first asked for: of many programs that could be traced, those that are run. */
export function whenAsked<T>(makers: Readonly<Record<string, () => T>>): Record<string, T> {
  const result: Record<string, T> = {};
  for (const [name, make] of Object.entries(makers)) Object.defineProperty(result, name, { enumerable: true, get: once(make) });
  return result;
}
