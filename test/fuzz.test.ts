import { expect, test } from "vitest";

// The short form of `npm run fuzz`, on a fixed seed: the corpus and some mutated files for each reader.

interface Fuzz {
  readMutations(
    name: string,
    options: { seed: number; first: number; count: number; onFailure: (file: number, error: string) => void },
  ): Promise<void>;
}

const folder = new URL("../scripts/fuzz/", import.meta.url).href;
const { readers } = (await import(`${folder}readers.mjs`)) as { readers: Readonly<Record<string, unknown>> };
const { readMutations } = (await import(`${folder}cases.mjs`)) as Fuzz;

test.each(Object.keys(readers))("%s: mutated files are read or refused by a designed error", async (name) => {
  const failures: string[] = [];
  const onFailure = (file: number, error: string): void => void failures.push(`file ${file}: ${error}`);
  await readMutations(name, { seed: 7, first: 0, count: 50, onFailure });
  expect(failures).toEqual([]);
});
