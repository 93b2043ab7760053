import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { decode as decodePng, encode as encodePng } from "fast-png";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { storedZip } from "../../test/support/zip.ts";
import { DiffusionBlocksError, FormatError } from "../errors.ts";
import { readNpy, readPickle } from "../formats/index.ts";
import { dataInfo, type ImageDataInfo, type TextDataInfo } from "./dataInfo.ts";
import type { LoadOptions } from "./imageFormat.ts";
import { loadImages } from "./load.ts";
import { loadText } from "./loadText.ts";

/** Files that NumPy, pickle and pyarrow wrote: see make.py there. */
const fixtures = fileURLToPath(new URL("../../test/fixtures/", import.meta.url));

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "dblocks-formats-"));
});
afterEach(() => rm(root, { recursive: true }));

async function write(name: string, bytes: Uint8Array | string): Promise<string> {
  const path = join(root, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
  return path;
}

/** `count` images of so many pixels from the first on, as make.py fills them. */
const pixels = (first: number, count: number, size: number): number[] =>
  Array.from({ length: count * size }, (_, i) => (37 * (first + Math.floor(i / size)) + 11 * (i % size)) % 256);

/** Of images with the channels last, the planes of item `item`. */
const planes = (item: number, size: number, channels: number): number[] => {
  const all = pixels(item, 1, size * channels);
  return Array.from({ length: channels }, (_, channel) => all.filter((_, i) => i % channels === channel)).flat();
};

async function fault(path: string, options: LoadOptions = {}): Promise<string> {
  const error: unknown = await loadImages(path, { cacheFolder: join(root, "cache"), ...options }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DiffusionBlocksError);
  return (error as DiffusionBlocksError).message;
}

describe("CIFAR as pickles", () => {
  test.each([2, 3, 4, 5])("CIFAR-10's archive, pickled by protocol %d", async (protocol) => {
    const { name, classNames, mean, train, test } = await loadImages(join(fixtures, `cifar-10-protocol-${protocol}.tar.gz`));
    expect({ name, labels: [...train.labels], test: [...test.labels] }).toEqual({ name: "cifar-10", labels: [9, 0, 3], test: [5] });
    expect(train).toMatchObject({ count: 3, channels: 3, height: 32, width: 32 });
    expect([...train.images]).toEqual(pixels(0, 3, 3072));
    expect(classNames.slice(0, 2)).toEqual(["airplane", "automobile"]);
    expect(mean).toEqual([0.4914, 0.4822, 0.4465]);
  });

  test("CIFAR-100's archive: the fine label counts", async () => {
    const { name, classNames, train, test } = await loadImages(join(fixtures, "cifar-100-python.tar.gz"));
    expect({ name, labels: [...train.labels], test: [...test.labels] }).toEqual({ name: "cifar-100", labels: [99, 4], test: [7] });
    expect(classNames[99]).toBe("class 99");
  });

  test("a pickle that calls a function is refused, and nothing is called", async () => {
    // cposix\nsystem\n(S'touch …'\ntR. as every example of an attack has it
    const victim = join(root, "victim");
    await write("data_batch_1", `cposix\nsystem\n(S'touch ${victim}'\ntR.`);
    await write("test_batch", "N.");
    expect(await fault(root)).toMatch(/data_batch_1.*byte 0: it refers to "posix\.system".*nothing in them is executed/);
    expect(await readdir(root)).not.toContain("victim");
  });

  test.each<[string, string | number[], RegExp]>([
    ["no end", "(lp0", /ends/],
    ["an operation that is none", [0x80, 2, 0xff], /byte 2: operation 0xff/],
    ["a value that is not there", "s.", /takes a value where there is none/],
    ["a mark that is not there", "t.", /a mark is missing/],
    ["a place that is empty", "h\x05.", /value 5, which it does not have/],
    ["a list that holds itself", [0x80, 2, 0x5d, 0x71, 0, 0x68, 0, 0x61, 0x2e], /^$/],
    ["a string of 4 GB", [0x80, 2, 0x54, 0xff, 0xff, 0xff, 0xff, 0x2e], /ends too early/],
    ["a string of 2^60 bytes", [0x80, 4, 0x8e, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x2e], /ends too early/],
    ["an integer of 200 bytes", [0x80, 2, 0x8a, 200], /integer of 200 bytes/],
    ["a class", "cnumpy\nndarray\n.", /holds a function/],
    ["an array without a state", "cnumpy.core.multiarray\n_reconstruct\n(tR.", /has no state/],
    ["nesting without end", `${"(".repeat(300)}${"t".repeat(300)}.`, /nested more than 100 deep/],
  ])("%s", (_, bytes, message) => {
    const pickle = typeof bytes === "string" ? new TextEncoder().encode(bytes) : Uint8Array.from(bytes);
    if (message.source === "^$") expect(readPickle(pickle)).toHaveLength(1);
    else {
      expect(() => readPickle(pickle)).toThrow(message);
      expect(() => readPickle(pickle)).toThrow(FormatError);
    }
  });

  test("what Python has for data", () => {
    const value = readPickle(new TextEncoder().encode("(dS'a'\nI7\nsS'b'\n(lI1\naF0.5\naL-3L\nasS'c'\nNsS'd'\nI01\ns."));
    expect(value).toEqual(
      new Map<string, unknown>([
        ["a", 7],
        ["b", [1, 0.5, -3]],
        ["c", null],
        ["d", 1],
      ]),
    );
  });
});

describe("NumPy arrays", () => {
  test("every type of numbers, in both byte orders", async () => {
    const names = (await readdir(fixtures)).filter((name) => name.endsWith(".npy"));
    expect(names).toHaveLength(12);
    for (const name of names) {
      const { shape, data } = readNpy(await readFile(join(fixtures, name)));
      expect([shape, Array.from(data)], name).toEqual([
        [2, 3],
        [0, 1, 1, 1, 0, 1],
      ]);
    }
  });

  test("Keras's names, channels last", async () => {
    const { name, train, test, classNames, isLatent } = await loadImages(join(fixtures, "keras.npz"));
    expect({ name, classNames, isLatent }).toEqual({ name: "keras", classNames: ["0", "1", "2"], isLatent: undefined });
    expect(train).toMatchObject({ count: 8, channels: 3, height: 4, width: 4, labels: Int32Array.of(0, 1, 2, 0, 1, 2, 0, 1) });
    expect([...train.images.subarray(48, 96)]).toEqual(planes(1, 16, 3));
    expect(test.count).toBe(4);
  });

  test("MedMNIST's names: grey images, labels in a column", async () => {
    const { train, test } = await loadImages(join(fixtures, "medmnist.npz"));
    expect(train).toMatchObject({ count: 8, channels: 1, height: 4, width: 4 });
    expect([...train.images.subarray(0, 16)]).toEqual(pixels(0, 1, 48).filter((_, i) => i % 3 === 0));
    expect(test.count).toBe(4);
  });

  test("a table of numbers in column order; a share of each class is held out", async () => {
    const { isLatent, train, test } = await loadImages(join(fixtures, "table.npz"), { valSplit: 0.25 });
    expect(isLatent).toBe(true);
    expect([train.count, test.count]).toEqual([9, 3]);
    expect(train).toMatchObject({ channels: 3, height: 1, width: 1 });
    expect([...train.images.subarray(0, 6)]).toEqual([-4.5, -4.25, -4, -3.75, -3.5, -3.25]);
  });

  test("a folder of .npy files; floats that are bytes over 255 are pixels", async () => {
    const npy = (type: string, shape: string, data: Uint8Array): Uint8Array => {
      const header = `{'descr': '${type}', 'fortran_order': False, 'shape': ${shape}, }`.padEnd(117).concat("\n");
      return Buffer.concat([Buffer.from("\x93NUMPY\x01\0v\0", "latin1"), Buffer.from(header), data]);
    };
    const images = Float32Array.from({ length: 4 * 3 * 5 * 5 }, (_, i) => Math.fround((i % 256) / 255));
    await write("images.npy", npy("<f4", "(4, 3, 5, 5)", new Uint8Array(images.buffer)));
    await write("labels.npy", npy("|u1", "(4,)", Uint8Array.of(0, 1, 0, 1)));
    const { train, isLatent } = await loadImages(root, { valSplit: 0.5 });
    expect(isLatent).toBeUndefined();
    expect([...train.images.subarray(0, 4)]).toEqual([0, 1, 2, 3]);
    await write("labels.npy", npy("|u1", "(3,)", Uint8Array.of(0, 1, 0)));
    expect(await fault(root)).toMatch(/images has shape \[4, 3, 5, 5\] and labels \[3\]/);
    await write("labels.npy", npy("|i1", "(4,)", Uint8Array.of(0, 255, 0, 1)));
    expect(await fault(root)).toMatch(/labels, record 1, is -1/);
    await write("labels.npy", npy("|u1", "(4000000000,)", Uint8Array.of(0)));
    expect(await fault(root)).toMatch(/labels\.npy.*has 4000000000 bytes; there are 1/);
    await rm(join(root, "labels.npy"));
    expect(await fault(root)).toMatch(/has the arrays images\. Expected are images and labels/);
  });

  test("arrays of objects, which are pickles, are refused", async () => {
    expect(await fault(join(fixtures, "objects.npz"))).toMatch(/objects\.npz:images\.npy.*type \|O/);
  });

  test("a damaged archive is named, and so is its array", async () => {
    const bytes = await readFile(join(fixtures, "keras.npz"));
    expect(await fault(await write("cut.npz", bytes.subarray(0, 900)))).toMatch(/cut\.npz cannot be unpacked/);
    const flipped = Buffer.from(bytes);
    flipped[300]! ^= 4;
    expect(await fault(await write("flipped.npz", flipped))).toMatch(/flipped\.npz:x_train\.npy cannot be unpacked.*checksum/);
  });
});

describe("tables", () => {
  const rows = Array.from({ length: 20 }, (_, i) => `${i},${i / 2},"kind ${i % 2}"`);

  test("a column of names is the class; samples are columns", async () => {
    const path = await write("things.csv", `\uFEFFa,b,species\n${rows.join("\r\n")}\r\n\r\n`);
    const { name, classNames, train, test } = await loadImages(path);
    expect({ name, classNames, train: train.count, test: test.count }).toEqual({
      name: "things",
      classNames: ["kind 0", "kind 1"],
      train: 18,
      test: 2,
    });
    expect(train).toMatchObject({ channels: 2, height: 1, width: 1 });
    expect([...train.images.subarray(0, 4)]).toEqual([0, 0, 1, 0.5]);
  });

  test("train.tsv and test.tsv; numbers of classes keep their numbers; --label", async () => {
    await write("train.tsv", "which\tx\n0\t1.5\n3\t2.5\n");
    await write("test.tsv", "which\tx\n1\t7\n");
    const { numClasses, train, test } = await loadImages(root, { label: "which" });
    expect([numClasses, ...train.labels, ...test.labels, ...test.images]).toEqual([4, 0, 3, 1, 7]);
    expect(await fault(root)).toMatch(/train\.tsv: no column is named.*its columns are which, x.*--label x/);
    expect(await fault(root, { label: "what" })).toMatch(/there is no column what/);
    await write("test.tsv", "which\ty\n1\t7\n");
    expect(await fault(root, { label: "which" })).toMatch(/test\.tsv has the columns y, .*train\.tsv x/);
  });

  test.each([
    ["", /is empty/],
    ["a,label\n", /is empty/],
    ["1,2\n3,4\n", /the first line, 1,2, is no line of names/],
    ["a,label\n1,0\nred,1\n", /line 3, column a: "red" is no finite number/],
    ["a,label\n1,0\n,1\n", /line 3, column a: "" is no finite number/],
    ["a,label\n1,0\n1,2,3\n", /is no table: .*line 3/],
    ['a,label\n1,"0\n', /is no table/],
    ["label\n1\n2\n", /has the column label alone/],
    ["a,label\n1,0\n2,99999999\n", /label, record 1, is 99999999.*--max-classes/],
  ])("%j is refused", async (text, message) => expect(await fault(await write("bad.csv", text))).toMatch(message));
});

describe("parquet", () => {
  test("shards of the Hugging Face Hub: images in the order of the classes' names beside the schema", async () => {
    const { name, classNames, train, test } = await loadImages(join(fixtures, "hub"));
    expect({ name, classNames }).toEqual({ name: "hub", classNames: ["zebra", "ant", "cat"] });
    const found = Array.from({ length: 6 }, (_, i) => [train.labels[i], ...train.images.subarray(i * 48, i * 48 + 48)]);
    for (let item = 0; item < 6; item++) expect(found).toContainEqual([item % 3, ...planes(item, 16, 3)]);
    expect(test.count).toBe(3);
  });

  test("another column of classes, by name", async () => {
    const { classNames, train } = await loadImages(join(fixtures, "hub"), { label: "kind" });
    expect(classNames).toEqual(["kind 0", "kind 1"]);
    expect(train.count).toBe(6);
  });

  test.each(["none", "snappy", "gzip", "zstd", "brotli", "lz4"])("texts, compressed by %s, one document a row", async (codec) => {
    const path = join(fixtures, `text-${codec}.parquet`);
    const { train, validation, test } = await loadText(path, "bytes", { cacheFolder: join(root, "cache") });
    // 40 texts that are not empty, one after the other; of twenty the 19th and 20th are for validation and tests.
    expect([train.length, validation.length, test.length]).toEqual([18 * 14 + 18 * 22, 2 * 14, 2 * 22]);
  });

  test("a text for a model of images, and the reverse", async () => {
    expect(await fault(join(fixtures, "text-none.parquet"))).toMatch(/no column has images.*text, id/);
    const path = join(fixtures, "hub/data/test-00000-of-00001.parquet");
    await expect(loadText(path, "bytes", { cacheFolder: join(root, "cache") })).resolves.toMatchObject({ name: "test-00000-of-00001" });
    expect(await fault(path, { label: "nothing" })).toMatch(/no column has classes/);
  });

  test("what is cut off, or is no parquet, is refused", async () => {
    const bytes = await readFile(join(fixtures, "hub/data/train-00000-of-00002.parquet"));
    expect(await fault(await write("cut.parquet", bytes.subarray(0, 500)))).toMatch(/cut\.parquet.*does not start and end with PAR1/);
    expect(await fault(await write("not.parquet", gunzipSync(await readFile(join(fixtures, "cifar-100-python.tar.gz")))))).toMatch(/PAR1/);
    const huge = Buffer.from(bytes);
    huge.writeUInt32LE(0x7fffffff, huge.length - 8);
    expect(await fault(await write("huge.parquet", huge))).toMatch(/huge\.parquet is no parquet file/);
  });
});

describe("zip archives", () => {
  const png = (item: number): Uint8Array => encodePng({ width: 4, height: 4, channels: 3, data: Uint8Array.from(pixels(item, 1, 48)) });

  test("of an image folder", async () => {
    const files = ["train/a/1.png", "train/b/2.png", "test/a/3.png", "test/b/4.png", "README"];
    const path = await write("images.zip", storedZip(Object.fromEntries(files.map((name, i) => [`any/${name}`, png(i)]))));
    const notices: string[] = [];
    const { name, classNames, train, test } = await loadImages(path, { onNotice: (notice) => notices.push(notice) });
    expect({ name, classNames, labels: [...train.labels, ...test.labels] }).toEqual({
      name: "images",
      classNames: ["a", "b"],
      labels: [0, 1, 0, 1],
    });
    expect([...train.images.subarray(0, 48)]).toEqual(planes(0, 16, 3));
    expect(notices.join()).toMatch(/neither \.png nor \.jpg: 1/);
    const bytes = await readFile(path);
    expect(await fault(await write("cut.zip", bytes.subarray(0, bytes.length - 30)))).toMatch(/cut\.zip cannot be unpacked/);
    expect(await fault(await write("climbs.zip", storedZip({ "../train/a/1.png": png(1) })))).toMatch(
      /climbs\.zip cannot be unpacked.*\.\./,
    );
  });

  test("Tiny-ImageNet as published, packed and unpacked: the validation part is the test part", async () => {
    const text = (lines: readonly string[]): Uint8Array => new TextEncoder().encode(`${lines.join("\n")}\n`);
    const files: Record<string, Uint8Array> = {
      "wnids.txt": text(["n02", "n01", "n03"]),
      "words.txt": text(["n01\tgoldfish, Carassius auratus", "n02\tcrane", "n03\tcrane", "n09\tnothing"]),
      "train/n01/images/n01_0.JPEG": png(0),
      "train/n01/n01_boxes.txt": text(["n01_0.JPEG\t0\t0\t3\t3"]),
      "train/n02/images/n02_0.JPEG": png(1),
      "train/n03/images/n03_0.JPEG": png(2),
      "val/images/val_0.JPEG": png(3),
      "val/images/val_1.JPEG": png(4),
      "val/val_annotations.txt": text(["val_0.JPEG\tn03\t0\t0\t3\t3", "val_1.JPEG\tn01\t0\t0\t3\t3"]),
      "test/images/test_0.JPEG": png(5),
    };
    const zip = storedZip(Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`tiny-imagenet-200/${name}`, bytes])));
    for (const [name, bytes] of Object.entries(files)) await write(`folder/${name}`, bytes);
    for (const path of [await write("tiny-imagenet-200.zip", zip), join(root, "folder")]) {
      const { classNames, train, test } = await loadImages(path);
      expect(classNames).toEqual(["crane (n02)", "goldfish", "crane (n03)"]);
      const found = [train, test].flatMap(({ labels, images }) => Array.from(labels, (label, i) => [label, images[48 * i]]));
      const expected = [
        [1, 0],
        [0, 1],
        [2, 2],
        [2, 3],
        [1, 4],
      ].map(([label, item]) => [label, pixels(item!, 1, 1)[0]]);
      expect(found).toHaveLength(5);
      for (const one of expected) expect(found).toContainEqual(one);
    }
    await write("folder/val/val_annotations.txt", text(["val_0.JPEG\tn07", "val_1.JPEG\tn01"]));
    expect(await fault(join(root, "folder"))).toMatch(/val_0\.JPEG is of class n07, which wnids\.txt does not have/);
  });
});

describe("what a data set holds", () => {
  test("images: counts of each class, statistics, a sheet; with an augmentation, a sheet of it", async () => {
    const { info, sheet } = await dataInfo(join(fixtures, "hub"));
    expect(info).toMatchObject({
      kind: "images",
      format: "parquet",
      channels: 3,
      height: 4,
      width: 4,
      train: 6,
      test: 3,
      isNumbers: false,
    });
    expect((info as ImageDataInfo).classes).toEqual(["zebra", "ant", "cat"].map((name) => ({ name, train: 2, test: 1 })));
    expect(decodePng(sheet!)).toMatchObject({ channels: 3 });
    const augmented = await dataInfo(join(fixtures, "hub"), { augmentation: ["flip", "mixup:0.5"] });
    expect(decodePng(augmented.sheet!).width).toBe(10 * (4 * 16 + 2) + 2);
  });

  test("numbers have no sheet", async () => {
    const { info, sheet } = await dataInfo(join(fixtures, "table.npz"), { valSplit: 0.5 });
    expect([info.kind === "images" && info.isNumbers, sheet]).toEqual([true, undefined]);
  });

  test("text: documents, lengths, tokens, and the most frequent of them", async () => {
    const path = await write("a.jsonl", ["aab", "aa", "abab"].map((text) => JSON.stringify({ text })).join("\n"));
    const { info } = await dataInfo(path, { tokenizer: "bytes", cacheFolder: join(root, "cache") });
    expect(info).toMatchObject({ kind: "text", documents: 3, characters: 9, documentLengths: [2, 3, 3, 4, 4], used: 3, vocabSize: 256 });
    expect((info as TextDataInfo).frequent.map(({ token }) => token)).toEqual(["a", "\n", "b"]);
    expect((info as TextDataInfo).frequent[0]!.share).toBeCloseTo(6 / 12);
    expect((await dataInfo(join(fixtures, "text-zstd.parquet"), { cacheFolder: join(root, "cache") })).info).toMatchObject({
      documents: 40,
    });
  });

  test("what is neither is refused as images are", async () => {
    await expect(dataInfo(await write("x.bin", Uint8Array.of(255, 254)))).rejects.toThrow(/file of unknown format/);
    await expect(dataInfo(join(root, "nothing"))).rejects.toThrow(/There is no data at/);
  });
});

test("a folder of texts that are named after parts is divided by them", async () => {
  for (const [name, text] of [
    ["train.txt", "aaaa"],
    ["valid.txt", "bb"],
    ["test.txt", "c"],
  ])
    await write(`parts/${name}`, text!);
  const options = { cacheFolder: join(root, "cache") };
  const { train, validation, test } = await loadText(join(root, "parts"), "bytes", options);
  expect([train.length, validation.length, test.length]).toEqual([5, 3, 2]);
  await rm(join(root, "parts", "train.txt"));
  await write("parts/other.txt", "aaaa");
  expect((await loadText(join(root, "parts"), "bytes", options)).train.length).toBe(10); // by number: all three for training
});
