import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { DiffusionBlocksError } from "../../dist/errors.js";
import { mutated, mutations } from "./mutations.mjs";
import { readers } from "./readers.mjs";

/** Messages are for people: nothing of a file stands in them at length. */
const longestMessage = 3100;

/**
 * Reads the files `first` to `first + count - 1` of a reader: those of its corpus as they are, then mutations of them. The same seed gives
 * the same files.
 *
 * @param options.onFile called before each file, and with true behind each that was accepted.
 * @param options.onFailure called with what failed by an error that was not designed, and with a file of the reader's own that was refused.
 */
export async function readMutations(name, { seed, first, count, onFile = () => {}, onFailure }) {
  const reader = readers[name];
  const folder = mkdtempSync(join(tmpdir(), "dblocks-fuzz-"));
  try {
    const made = (await reader.seeds(folder)).map((bytes) => Buffer.from(bytes));
    const seeds = [...made, ...corpus(name)];
    const arbitrary = mutations(reader.isText ?? false);
    for (let i = first; i < first + count; i++) {
      const bytes = fileOf(i, { reader, seeds, arbitrary, seed });
      onFile(i, false);
      try {
        await reader.read(bytes, folder);
        onFile(i, true);
      } catch (error) {
        const isDesigned = error instanceof DiffusionBlocksError && error.message.length > 0 && error.message.length < longestMessage;
        if (!isDesigned || i < made.length) onFailure(i, text(error), bytes);
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function corpus(name) {
  const folder = new URL(`./corpus/${name.replaceAll(" ", "-")}/`, import.meta.url);
  try {
    return readdirSync(folder).map((file) => readFileSync(new URL(file, folder)));
  } catch {
    return []; // nothing was found yet
  }
}

function fileOf(i, { reader, seeds, arbitrary, seed }) {
  const { wrap = (bytes) => bytes, repair: repaired = (bytes) => bytes } = reader;
  if (i < seeds.length) return wrap(seeds[i]);
  const [{ steps, seed: which, other, repair }] = fc.sample(arbitrary, { seed: seed * 1_000_003 + i, numRuns: 1 });
  const file = mutated(seeds[which % seeds.length], seeds[other % seeds.length], steps);
  return wrap(repair ? repaired(file) : file);
}

function text(error) {
  if (!(error instanceof Error)) return String(error);
  return error.message.length < longestMessage
    ? error.stack
    : `a message of ${error.message.length} characters: ${error.message.slice(0, 200)}`;
}
