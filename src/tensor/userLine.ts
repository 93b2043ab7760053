/** The folder that holds this library's modules: …/src/ or …/dist/. */
const libraryRoot = new URL("..", import.meta.url).href.replace(/^file:\/\//, "");

/**
 * The line of user code that led here: the first stack frame outside this library and outside the platform.
 * Reads the V8 and the Firefox form of a stack; undefined where there is none.
 */
export function userLine(stack: string | undefined = new Error().stack): string | undefined {
  for (const frame of stack?.split("\n").slice(1) ?? []) {
    const place = /(?:\(|at |@)((?:file:\/\/|https?:\/\/)?[^\s()]*:\d+:\d+)\)?$/.exec(frame.trim())?.[1]?.replace(/^file:\/\//, "");
    if (place === undefined || place.startsWith("node:") || place.includes("/node_modules/")) continue;
    if (!place.startsWith(libraryRoot) || /\.test\.ts:/.test(place)) return place;
  }
  return undefined;
}
