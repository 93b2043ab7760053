import { FormatError } from "../errors.ts";
import { canonicalJson } from "./canonicalJson.ts";
import { crc32c } from "./crc32c.ts";
import { parseStrictJson } from "./strictJson.ts";

const field = "checksum";

/** JSON of an object with the CRC-32C of its content as its last field, so that a changed bit is found when it is read. */
export function sealJson(value: object): string {
  return `${JSON.stringify({ ...value, [field]: checksumOf(value) }, null, 2)}\n`;
}

/**
 * The content of a file that {@link sealJson} wrote. One without a checksum, of an older version or of another program, is taken as it is.
 *
 * @param where the file's name in messages.
 * @throws {FormatError} `checksum` if the content is not what was written; as `parseStrictJson` if it is no JSON.
 */
export function openSealedJson(text: string, where: string): unknown {
  const value = parseStrictJson(text, where);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  // Its last field, by its value: a bit may have changed in the name as well.
  const [name, written] = Object.entries(value).at(-1) ?? [];
  if (name !== field && !/^[0-9a-f]{8}$/.test(String(written))) return value;
  const content = Object.fromEntries(Object.entries(value).slice(0, -1));
  const found = checksumOf(content);
  if (name === field && written === found) return content;
  const message = `${where} is damaged: its content has the checksum ${found}, and was written with ${String(written)}. Copy the file again, from a backup or another machine of the run.`;
  throw new FormatError("checksum", { where, written, found }, message);
}

function checksumOf(value: object): string {
  return hexChecksum(canonicalJson(value));
}

/** CRC-32C of a text in UTF-8, eight hexadecimal digits. */
export function hexChecksum(text: string): string {
  return crc32c(new TextEncoder().encode(text)).toString(16).padStart(8, "0");
}
