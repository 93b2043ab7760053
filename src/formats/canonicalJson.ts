/** A value as JSON with sorted keys: the same text for the same content, however its keys are ordered. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, sorted) ?? "null";
}

function sorted(_: string, part: unknown): unknown {
  if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
  return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** SHA-256 in 64 hexadecimal digits. In a browser it needs a page from https or localhost. */
export async function sha256(content: Uint8Array | string): Promise<string> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
