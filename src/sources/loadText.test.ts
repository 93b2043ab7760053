import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { loadTokenizer, readTokens, type TextDataset, textBatches, tokenizerOf, tokensOf } from "../data/index.ts";
import { DataError } from "../errors.ts";
import { type LoadTextOptions, loadText as loadTextOf } from "./loadText.ts";
import { openText } from "./textSource.ts";
import { tokensInFile } from "./tokenFile.ts";

const folder = mkdtempSync(join(tmpdir(), "dblocks-text-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

const cacheFolder = join(folder, "cache");
const loadText = (path: string, tokenizer?: string, options: LoadTextOptions = {}): Promise<TextDataset> =>
  loadTextOf(path, tokenizer, { cacheFolder, ...options });

describe("a tokenizer.json", () => {
  /** Bytes as GPT-2 writes them, and two merges. */
  const json = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [{ id: 7, content: "<|end|>", single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    model: { type: "BPE", vocab: { a: 0, b: 1, c: 2, Ġ: 3, ab: 4, Ġc: 5, abc: 6 }, merges: ["a b", "Ġ c", "ab c"] },
  };

  test("merges as it is told, and gives the text back", async () => {
    const tokenizer = await loadTokenizer(file("small.tokenizer.json", JSON.stringify(json)));
    expect([tokenizer.name, tokenizer.vocabSize]).toEqual(["small", 8]);
    expect([...tokenizer.encode("abc ab c")]).toEqual([6, 3, 4, 5]);
    expect(tokenizer.decode([6, 3, 4, 5])).toBe("abc ab c");
  });

  test("is kept whole as JSON, from which it is made again", async () => {
    const tokenizer = await loadTokenizer(file("small.tokenizer.json", JSON.stringify(json)));
    const again = tokenizerOf(JSON.parse(JSON.stringify(tokenizer.info)));
    expect([again.name, again.vocabSize, again.info]).toEqual([tokenizer.name, tokenizer.vocabSize, tokenizer.info]);
    expect(again.encode("abc ab c")).toEqual(tokenizer.encode("abc ab c"));
    expect(again.decode([6, 3, 4, 5])).toBe("abc ab c");
  });

  test.each(["a  b , c ! don't", " ab .", "c ?  ", "ab 's n't ( c )"])(
    "%j is given back to the letter, spaces before marks included",
    async (text) => {
      const characters = [...new Set([...text].map((one) => (one === " " ? "Ġ" : one)))];
      const vocab = Object.fromEntries(characters.map((one, i) => [one, i]));
      const exact = { ...json, added_tokens: [], model: { type: "BPE", vocab, merges: [] } };
      const tokenizer = await loadTokenizer(file("exact.tokenizer.json", JSON.stringify(exact)));
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      expect(tokenizer.decode([])).toBe("");
    },
  );

  test.each([
    ["привет, мир! где ты?", ["привет", ",", "мир", "!", "где", "ты", "?"]],
    ["naïve café d'été", ["naïve", "café", "d", "'", "été"]],
    ["snake_case2 日本語 a-b", ["snake_case2", "日本語", "a", "-", "b"]],
    ["well... (yes)", ["well", "...", "(", "yes", ")"]],
  ])("the pre-tokenizer Whitespace has words of every script: %s", async (text, words) => {
    const vocab = Object.fromEntries(["<unk>", ...new Set(words)].map((word, i) => [word, i]));
    const model = { type: "WordLevel", vocab, unk_token: "<unk>" };
    for (const pre_tokenizer of [{ type: "Whitespace" }, { type: "Sequence", pretokenizers: [{ type: "Whitespace" }] }]) {
      const word = { ...json, added_tokens: [], pre_tokenizer, decoder: null, model };
      const tokenizer = await loadTokenizer(file("words.tokenizer.json", JSON.stringify(word)));
      expect([...tokenizer.encode(text)]).toEqual(words.map((one) => vocab[one]));
    }
  });

  test("a Unigram model, whose vocabulary is a list, takes the likeliest pieces", async () => {
    const vocab = [
      ["<unk>", 0],
      ["▁ab", -1],
      ["a", -3],
      ["b", -3],
      ["▁", -2],
      ["c", -2],
    ];
    const unigram = {
      ...json,
      added_tokens: [],
      pre_tokenizer: { type: "Metaspace", replacement: "▁", add_prefix_space: true, prepend_scheme: "always" },
      decoder: { type: "Metaspace", replacement: "▁", add_prefix_space: true, prepend_scheme: "always" },
      model: { type: "Unigram", unk_id: 0, vocab },
    };
    const tokenizer = await loadTokenizer(file("unigram.tokenizer.json", JSON.stringify(unigram)));
    expect([tokenizer.vocabSize, [...tokenizer.encode("ab c")]]).toEqual([6, [1, 4, 5]]);
    expect(tokenizer.decode([1, 4, 5])).toBe("ab c");
  });

  test("a long text in pieces has the tokens that it has whole", async () => {
    const tokenizer = await loadTokenizer(file("small.tokenizer.json", JSON.stringify(json)));
    const words = Array.from({ length: 9000 }, (_, i) => ["abc", "ab", "c", "bca"][(i * 7) % 4]!);
    const whole = words.flatMap((word, i) => [...tokenizer.encode(`${i === 0 ? "" : " "}${word}`)]);
    expect([...tokenizer.encode(words.join(" "))]).toEqual(whole);
  });

  test.each<[string, () => string, RegExp]>([
    ["a missing file", () => "nothing.json", /There is no tokenizer at nothing\.json\. Give text8, bytes, or/],
    ["another file", () => file("other.json", "{}"), /other\.json is no tokenizer\.json/],
    ["no JSON", () => file("bad.json", "{"), /bad\.json is no tokenizer\.json/],
  ])("%s is refused", async (_, path, message) => {
    await expect(loadTokenizer(path())).rejects.toThrow(message);
  });

  const gpt2 = new URL("../../../shared/data/tokenizers/gpt2-1024.tokenizer.json", import.meta.url);
  test.skipIf(!existsSync(gpt2))("GPT-2's bytes give any text back", async () => {
    const tokenizer = await loadTokenizer(fileURLToPath(gpt2));
    expect(tokenizer.vocabSize).toBe(1024);
    for (const text of ["The prince said, “Où?”\n\n  Two spaces.", "naïve 😀 text"])
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  });
});

describe("loadText", () => {
  test("divides a text 90 : 5 : 5 and knows text8 when it sees it", async () => {
    const { train, validation, test: held, tokenizer, name } = await loadText(file("letters.txt", `${"abcdefghi ".repeat(20)}\n`));
    expect([train.length, validation.length, held.length, tokenizer.name, name]).toEqual([180, 10, 10, "text8", "letters"]);
    expect((await loadText(file("other.txt", "Ein Stück Text."))).tokenizer.name).toBe("bytes");
    await expect(loadText(file("upper.txt", "Upper"), "text8")).rejects.toThrow(DataError);
  });

  test.each<[string, () => string, RegExp]>([
    ["a missing file", () => join(folder, "nothing.txt"), /There is no text at .*nothing\.txt/],
    ["an empty file", () => file("empty.txt", "\n"), /empty\.txt is empty/],
    ["what is no UTF-8", () => file("latin1.txt", Uint8Array.of(0x61, 0xc3, 0xa9, 0x62, 0xe9, 0x63)), /byte 4 does not fit/],
  ])("%s is refused by name", async (_, path, message) => {
    await expect(loadText(path())).rejects.toThrow(message);
  });
});

describe("text of any size", () => {
  const decode = ({ tokenizer, train, validation, test: held }: TextDataset): string =>
    tokenizer.decode([...readTokens(train), ...validation, ...held]);

  test("chunks and pieces leave no trace: letters of several bytes across their borders", async () => {
    const text = "größer € 😀 und weiter, ".repeat(60_000); // 1.9 MB
    const told: number[] = [];
    const data = await loadText(file("large.txt", text), "bytes", { onProgress: (_, fraction) => told.push(fraction) });
    expect(decode(data)).toBe(text);
    expect(told.length).toBeGreaterThan(10);
    expect(told.at(-1)).toBe(1);
    expect(told).toEqual([...told].sort((a, b) => a - b));
  });

  test("tokens are kept: the second time nothing is tokenised; another text or tokenizer is", async () => {
    const path = file("kept.txt", "once upon a time ".repeat(50));
    const count = async (tokenizer: string): Promise<number> => {
      let pieces = 0;
      await loadText(path, tokenizer, { onProgress: () => pieces++ });
      return pieces;
    };
    expect([await count("text8"), await count("text8"), await count("bytes"), await count("bytes")]).toEqual([1, 0, 1, 0]);
    file("kept.txt", "twice upon a time ".repeat(50));
    expect([await count("text8"), await count("text8")]).toEqual([1, 0]);
    const first = await loadText(path, "text8");
    expect(decode(await loadText(path, "text8"))).toBe(decode(first));
  });

  test("where nothing can be kept, tokens are in memory", async () => {
    const path = file("plain.txt", "no place to keep ".repeat(50));
    const data = await loadText(path, "text8", { cacheFolder: join(path, "under a file") });
    expect(decode(data)).toBe("no place to keep ".repeat(50));
  });

  test("a failure leaves nothing half done", async () => {
    const bad = file("bad.txt", `${"fine words ".repeat(20_000)}Capital`);
    await expect(loadText(bad, "text8")).rejects.toThrow(/bad\.txt has "C" at character 220000;/);
    expect(readdirSync(cacheFolder).filter((name) => name.includes("unfinished"))).toEqual([]);
  });

  test("documents of a .jsonl file or a folder are each in one part, with line feeds between them", async () => {
    const documents = Array.from({ length: 60 }, (_, i) => `document ${i}`);
    const lines = file("documents.jsonl", documents.map((text) => `${JSON.stringify({ text })}\n`).join(""));
    mkdirSync(join(folder, "documents"));
    for (const [i, text] of documents.entries()) file(join("documents", `${String(i).padStart(3, "0")}.txt`), text);
    for (const path of [lines, join(folder, "documents")]) {
      const { train, validation, test: held, tokenizer } = await loadText(path);
      expect(tokenizer.decode(validation)).toBe("document 18\ndocument 38\ndocument 58\n");
      expect(tokenizer.decode(held)).toBe("document 19\ndocument 39\ndocument 59\n");
      expect(tokenizer.decode(readTokens(train)).split("\n")).toHaveLength(55);
    }
    await expect(loadText(file("broken.jsonl", '{"text": "a"}\n{"body": "b"}\n'))).rejects.toThrow(/broken\.jsonl, line 2: expected is/);
    mkdirSync(join(folder, "nothing here"));
    await expect(loadText(join(folder, "nothing here"))).rejects.toThrow(/has neither \.txt files nor parquet shards/);
  });

  test("byte-order marks and hidden files are passed over; lines and lists go by several names", async () => {
    const documents = Array.from({ length: 40 }, (_, i) => `document ${i}`);
    const lines = documents.map((text) => `${JSON.stringify({ text })}\n`).join("");
    const contents = async (path: string): Promise<string> => {
      const { train, validation, test: held, tokenizer } = await loadText(path);
      return [readTokens(train), validation, held].map((tokens) => tokenizer.decode(tokens)).join("|");
    };
    const expected = await contents(file("plain.jsonl", lines));
    expect(expected).toContain("document 0\ndocument 1\n");
    const list = JSON.stringify(documents.map((text, i) => (i % 2 === 0 ? { text } : text)));
    for (const [name, content] of [
      ["marked.jsonl", `\uFEFF${lines}`],
      ["UPPER.JSONL", lines],
      ["some.ndjson", lines],
      ["list.json", list],
      ["marked.json", `\uFEFF${list}`],
    ] as const)
      expect(await contents(file(name, content))).toBe(expected);
    const marked = file("marked.txt", `\uFEFF${"plain letters ".repeat(60)}`);
    expect((await loadText(marked)).tokenizer.name).toBe("text8");
    mkdirSync(join(folder, "hidden"));
    for (const [i, text] of documents.entries()) file(join("hidden", `${String(i).padStart(2, "0")}.TXT`), `\uFEFF${text}`);
    file(join("hidden", "._00.txt"), Uint8Array.of(0, 5, 22, 255));
    file(join("hidden", ".notes.txt"), "not a document");
    expect(await contents(join(folder, "hidden"))).toBe(expected);
    file(join("hidden", "more.md"), "not a document");
    mkdirSync(join(folder, "hidden", "inside"));
    const told: string[] = [];
    await openText(join(folder, "hidden"), (message) => told.push(message));
    expect(told).toEqual([
      expect.stringMatching(/passed over: hidden files: 2 \(the first: .*\); (?=.*not .txt: 1 \(.*more.md\))(?=.*folders inside: 1 )/),
    ]);
    await expect(loadText(file("object.json", '{"text": "a"}'))).rejects.toThrow(/object\.json: expected is a list/);
    await expect(loadText(file("mixed.json", '["a", 3]'))).rejects.toThrow(/mixed\.json, item 1: expected is/);
  });

  test("windows read from a file are those that memory gives", async () => {
    const values = Int32Array.from({ length: 500 }, (_, i) => i * i);
    const path = file("tokens.bin", new Uint8Array(values.buffer));
    const options = { length: 10, batchSize: 4, seed: 1 };
    const [inMemory, inFile] = [tokensOf(values.subarray(100, 400)), tokensInFile(path, 100, 300)];
    for (let step = 0; step < 20; step++) expect(textBatches(inFile, options).at(step)).toEqual(textBatches(inMemory, options).at(step));
  });
});
