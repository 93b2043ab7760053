import { mkdir, mkdtemp, readdir, readFile, rm, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { encode as encodePng } from "fast-png";
import jpeg from "jpeg-js";
import { packTar } from "modern-tar";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ImageDataset } from "../data/index.ts";
import { DataError } from "../errors.ts";
import { readDecoded, writeDecoded } from "./archiveCache.ts";
import { loadImages } from "./load.ts";

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "dblocks-data-"));
});
afterEach(() => rm(root, { recursive: true }));

async function write(name: string, bytes: Uint8Array | string): Promise<string> {
  const path = join(root, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
  return path;
}

/** Pixel `i` of image `item` in the files below. */
const pixel = (item: number, i: number): number => (item * 37 + i * 11) % 256;

const image = (item: number, pixels: number): Uint8Array => Uint8Array.from({ length: pixels }, (_, i) => pixel(item, i));

/** CIFAR records with these labels. */
function records(labels: readonly number[], coarse?: number): Uint8Array {
  return Buffer.concat(
    labels.map((label, item) => Buffer.concat([Buffer.from(coarse === undefined ? [label] : [coarse, label]), image(item, 3072)])),
  );
}

function idx(dimensions: readonly number[], data: Uint8Array): Uint8Array {
  const header = Buffer.alloc(4 + 4 * dimensions.length);
  header.set([0, 0, 8, dimensions.length]);
  for (const [i, dimension] of dimensions.entries()) header.writeUInt32BE(dimension, 4 + 4 * i);
  return Buffer.concat([header, data]);
}

function png(item: number, size = 4, channels: 1 | 3 = 3): Uint8Array {
  return encodePng({ width: size, height: size, channels, data: image(item, channels * size * size) });
}

/** The error's code and message; it must be a `DataError` of one line. */
async function fault(path: string): Promise<{ code: string; message: string }> {
  const error: unknown = await loadImages(path, { cacheFolder: join(root, "cache") }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DataError);
  const { code, message } = error as DataError;
  expect(message).not.toContain("\n");
  return { code, message };
}

describe("CIFAR-10", () => {
  test("any number of batch files becomes one training part, in the order of their numbers", async () => {
    await write("data_batch_10.bin", records([3]));
    await write("data_batch_2.bin", records([9, 0]));
    await write("test_batch.bin", records([5]));
    await write("batches.meta.txt", "airplane\nautomobile\n\n");
    const { name, classNames, mean, train, test } = await loadImages(root);
    expect({ name, labels: [...train.labels], test: [...test.labels] }).toEqual({ name: "cifar-10", labels: [9, 0, 3], test: [5] });
    expect(train).toMatchObject({ count: 3, channels: 3, height: 32, width: 32 });
    expect(train.images.subarray(3072, 6144)).toEqual(image(1, 3072));
    expect(classNames.slice(0, 3)).toEqual(["airplane", "automobile", "2"]);
    expect(mean).toEqual([0.4914, 0.4822, 0.4465]);
  });

  test("a file that is cut off is named, with its length and the one it should have", async () => {
    await write("data_batch_1.bin", records([1, 2]));
    const path = await write("test_batch.bin", records([1, 2]).subarray(0, 5000));
    const { code, message } = await fault(root);
    expect(code).toBe("truncated");
    for (const part of [path, "5000 bytes", "6146"]) expect(message).toContain(part);
  });

  test("a label out of range is named with its record", async () => {
    const path = await write("data_batch_1.bin", records([1, 10]));
    await write("test_batch.bin", records([1]));
    const { code, message } = await fault(root);
    expect(code).toBe("labelOutOfRange");
    expect(message).toContain(`${path}: record 1 has label 10`);
  });

  test("an empty file and a missing test part are refused", async () => {
    await write("data_batch_1.bin", "");
    expect((await fault(root)).message).toContain("test_batch.bin");
    await write("test_batch.bin", records([1]));
    expect(await fault(root)).toMatchObject({ code: "truncated" });
  });
});

test("CIFAR-100: the fine label counts", async () => {
  await write("train.bin", records([99, 4], 19));
  await write("test.bin", records([7], 3));
  await write("fine_label_names.txt", Array.from({ length: 100 }, (_, k) => `class ${k}`).join("\n"));
  const { name, numClasses, classNames, train, test } = await loadImages(root);
  expect({ name, numClasses, train: [...train.labels], test: [...test.labels] }).toEqual({
    name: "cifar-100",
    numClasses: 100,
    train: [99, 4],
    test: [7],
  });
  expect(classNames[99]).toBe("class 99");
  expect(train.images.subarray(3072)).toEqual(image(1, 3072));
});

describe("MNIST", () => {
  async function mnist(zip: (bytes: Uint8Array) => Uint8Array, ending: string, labels = [3, 9]): Promise<void> {
    for (const part of ["train", "t10k"]) {
      await write(`${part}-images-idx3-ubyte${ending}`, zip(idx([2, 28, 28], image(0, 2 * 784))));
      await write(`${part}-labels-idx1-ubyte${ending}`, zip(idx([labels.length], Uint8Array.from(labels))));
    }
  }

  test.each([
    ["plain", (bytes: Uint8Array) => bytes, ""],
    ["gzipped", gzipSync, ".gz"],
  ] as const)("%s IDX files", async (_, zip, ending) => {
    await mnist(zip, ending);
    const { mean, train, test } = await loadImages(root);
    expect(mean).toEqual([0.1307]);
    expect(train).toMatchObject({ count: 2, channels: 1, height: 28, width: 28, labels: Int32Array.of(3, 9) });
    expect(test.images).toEqual(image(0, 2 * 784));
  });

  test("files that are cut off, too many labels and labels out of range are named", async () => {
    await mnist(gzipSync, ".gz");
    const path = join(root, "t10k-images-idx3-ubyte.gz");
    await truncate(path, (await readFile(path)).length - 9);
    expect(await fault(root)).toMatchObject({ code: "truncated", message: expect.stringContaining(path) });
    await mnist((bytes) => bytes, "");
    await truncate(join(root, "train-images-idx3-ubyte"), 1000);
    expect(await fault(root)).toMatchObject({ code: "truncated", message: expect.stringMatching(/1000 bytes.*1584/) });
    await mnist((bytes) => bytes, "", [1, 2, 3]);
    expect(await fault(root)).toMatchObject({ code: "countsDiffer" });
    await mnist((bytes) => bytes, "", [1, 12]);
    expect(await fault(root)).toMatchObject({ code: "labelOutOfRange", message: expect.stringContaining("record 1 has label 12") });
  });

  test("a file of another type is no IDX file", async () => {
    await mnist((bytes) => bytes, "");
    await write("train-labels-idx1-ubyte", "not labels");
    expect(await fault(root)).toMatchObject({ code: "notIdx" });
  });
});

/** The files of a small image folder. */
const folderFiles: Readonly<Record<string, Uint8Array>> = {
  "train/cat/2.png": png(2),
  "train/cat/10.PNG": png(10),
  "train/ant/a.png": png(1),
  "test/cat/x.png": png(5),
};

async function writeFolder(files: Readonly<Record<string, Uint8Array>>): Promise<void> {
  for (const [name, bytes] of Object.entries(files)) await write(name, bytes);
}

/** What makes two data sets the same, apart from their names. */
const content = ({ name: _, ...rest }: ImageDataset): object => rest;

/** [size, size, channels] -> [channels, size, size], of picture `item` of `png`. */
function planes(item: number, size = 4): number[] {
  return [0, 1, 2].flatMap((channel) => Array.from({ length: size * size }, (_, i) => pixel(item, 3 * i + channel)));
}

describe("image folder", () => {
  test("classes in alphabetical order, images by name, mean and deviation of the training part", async () => {
    await writeFolder(folderFiles);
    await write("train/cat/.hidden.png", "not an image");
    await write("train/cat/notes.txt", "not an image");
    const { classNames, mean, std, train, test } = await loadImages(root);
    expect({ classNames, labels: [...train.labels], test: [...test.labels] }).toEqual({
      classNames: ["ant", "cat"],
      labels: [0, 1, 1],
      test: [1],
    });
    expect([...train.images]).toEqual([1, 10, 2].flatMap((item) => planes(item)));
    const red = [1, 10, 2].flatMap((item) =>
      planes(item)
        .slice(0, 16)
        .map((byte) => byte / 255),
    );
    const average = red.reduce((sum, value) => sum + value, 0) / red.length;
    expect(mean[0]).toBeCloseTo(average, 10);
    expect(std[0]).toBeCloseTo(Math.sqrt(red.reduce((sum, value) => sum + (value - average) ** 2, 0) / red.length), 10);
  });

  test("JPEG files, and PNG files of one channel and of a palette", async () => {
    const grey = Buffer.alloc(4 * 64, 200);
    await writeFolder({
      "train/a/1.jpg": jpeg.encode({ width: 8, height: 8, data: grey }, 95).data,
      "test/a/1.jpeg": jpeg.encode({ width: 8, height: 8, data: grey }, 95).data,
    });
    const colour = await loadImages(root);
    expect(colour.train).toMatchObject({ channels: 3, height: 8, width: 8 });
    expect(Math.abs(colour.train.images[0]! - 200)).toBeLessThan(3);
    await writeFolder({ "train/a/1.png": png(1, 4, 1), "test/a/1.png": png(1, 4, 1) });
    await rm(join(root, "train/a/1.jpg"));
    await rm(join(root, "test/a/1.jpeg"));
    expect((await loadImages(root)).train).toMatchObject({ channels: 1, images: image(1, 16) });
    const palette = encodePng({
      width: 2,
      height: 1,
      depth: 8,
      channels: 1,
      palette: [
        [10, 20, 30],
        [40, 50, 60],
      ],
      data: Uint8Array.of(1, 0),
    });
    await writeFolder({ "train/a/1.png": palette, "test/a/1.png": palette });
    expect([...(await loadImages(root)).train.images]).toEqual([40, 10, 50, 20, 60, 30]);
  });

  test("the image of another size, a damaged one and one of an unknown class are named", async () => {
    await writeFolder({ ...folderFiles, "train/cat/odd.png": png(1, 5) });
    expect(await fault(root)).toMatchObject({
      code: "sizesDiffer",
      message: expect.stringMatching(/odd\.png is 5×5, .*a\.png is 4×4\. .*--image-size N/),
    });
    await writeFolder({ "train/cat/odd.png": png(1).subarray(0, 40) });
    expect(await fault(root)).toMatchObject({ code: "badImage", message: expect.stringContaining("odd.png") });
    await writeFolder({ "train/cat/odd.png": png(1), "test/dog/1.png": png(1) });
    expect(await fault(root)).toMatchObject({ code: "unknownClass", message: expect.stringContaining('"dog"') });
  });

  test("images of several sizes are scaled and cropped to the one that is asked for", async () => {
    const sizes = { "train/a/1.png": png(1, 9), "train/a/2.png": png(2, 4), "train/b/3.png": png(3, 6), "test/b/4.png": png(4, 5) };
    await writeFolder(sizes);
    const { train, test: held } = await loadImages(root, { imageSize: 4 });
    expect([train.width, train.height, train.count, held.width]).toEqual([4, 4, 3, 4]);
    expect([...train.images.subarray(48, 96)]).toEqual(planes(2));
    const archive = await packTar(Object.entries(sizes).map(([name, body]) => ({ header: { name, size: body.length }, body })));
    const fromArchive = await loadImages(await write("sizes.tar", archive), { imageSize: 4, cacheFolder: join(root, "cache") });
    expect(fromArchive.train.images).toEqual(train.images);
  });

  test("grey images among colour ones, and images of 1, 2, 4 and 16 bits, become bytes of one kind", async () => {
    const sixteen = encodePng({ width: 2, height: 1, channels: 1, depth: 16, data: Uint16Array.of(0x8000, 0xffff) });
    const colour = encodePng({ width: 2, height: 1, channels: 3, data: Uint8Array.of(10, 20, 30, 40, 50, 60) });
    const bits = encodePng({ width: 2, height: 1, channels: 1, depth: 1, data: Uint8Array.of(0b01000000) });
    await writeFolder({ "train/a/1.png": sixteen, "train/a/2.png": colour, "train/b/3.png": bits, "test/a/1.png": sixteen });
    const { train, test: held } = await loadImages(root);
    expect([train.channels, held.channels]).toEqual([3, 3]);
    expect([...train.images]).toEqual(
      [
        [128, 255, 128, 255, 128, 255],
        [10, 40, 20, 50, 30, 60],
        [0, 255, 0, 255, 0, 255],
      ].flat(),
    );
  });

  test.each([
    ["classes at once", ""],
    ["a training part alone", "train/"],
  ])("a folder with %s holds part of each class out, the same at every time", async (_, prefix) => {
    const names = Array.from({ length: 20 }, (__, i) => String(i).padStart(2, "0"));
    await writeFolder(Object.fromEntries(names.flatMap((name, i) => ["ant", "bee"].map((one) => [`${prefix}${one}/${name}.png`, png(i)]))));
    const { train, test: held, classNames } = await loadImages(root);
    expect([classNames, train.count, held.count]).toEqual([["ant", "bee"], 36, 4]);
    expect([...held.images.subarray(0, 48)]).toEqual(planes(9)); // the tenth of its class
    const quarter = await loadImages(root, { valSplit: 0.25 });
    expect([quarter.train.count, quarter.test.count]).toEqual([30, 10]);
    expect((await loadImages(root)).test.images).toEqual(held.images);
  });

  test("an image is decoded by its first bytes, whatever its name is", async () => {
    const jpegOf = (item: number): Uint8Array => jpeg.encode({ width: 4, height: 4, data: Buffer.from(image(item, 64)) }, 95).data;
    await writeFolder({ "train/a/1.png": jpegOf(1), "train/a/2.jpg": png(2), "train/a/3.JPEG": png(3), "test/a/1.png": png(4) });
    const { train } = await loadImages(root);
    expect([...train.images.subarray(48, 96)]).toEqual(planes(2));
    expect([...train.images.subarray(96)]).toEqual(planes(3));
    await writeFolder({ "train/a/4.png": Buffer.from("GIF89a and so on") });
    expect(await fault(root)).toMatchObject({ code: "notImage", message: expect.stringContaining("4.png is neither a PNG nor a JPEG") });
  });

  test("links to classes and to images are what they lead to; links that lead nowhere are named", async () => {
    await writeFolder({ "train/a/1.png": png(1), "test/a/1.png": png(2), "../elsewhere/3.png": png(3) });
    for (const split of ["train", "test"]) await symlink(join(root, "../elsewhere"), join(root, split, "kiwi"));
    await symlink(join(root, "train/a/1.png"), join(root, "train/a/0.png"));
    const { classNames, train } = await loadImages(root);
    expect([classNames, train.count]).toEqual([["a", "kiwi"], 3]);
    expect([...train.images]).toEqual([1, 1, 3].flatMap((item) => planes(item)));
    await symlink("/nowhere/gone.png", join(root, "train/a/5.png"));
    expect(await fault(root)).toMatchObject({
      code: "unreadable",
      message: expect.stringMatching(/5\.png cannot be read: it is a link that leads nowhere/),
    });
    await rm(join(root, "train/a/5.png"));
    await symlink("/nowhere/class", join(root, "train/lost"));
    expect(await fault(root)).toMatchObject({ code: "unreadable", message: expect.stringContaining("lost cannot be read") });
    await rm(join(root, "../elsewhere"), { recursive: true });
  });

  test("an empty part is named", async () => {
    await mkdir(join(root, "train/cat"), { recursive: true });
    expect(await fault(root)).toMatchObject({ code: "emptySplit", message: expect.stringContaining("train/CLASS/") });
    await writeFolder({ "train/cat/1.png": png(1) });
    expect(await fault(root)).toMatchObject({ code: "emptySplit", message: expect.stringContaining("test/CLASS/") });
  });
});

describe("archive of an image folder", () => {
  const tar = (files: Readonly<Record<string, Uint8Array>>): Promise<Uint8Array> =>
    packTar(
      Object.entries(files)
        .reverse()
        .map(([name, body]) => ({ header: { name: `set/${name}`, size: body.length }, body })),
    );

  test("links in an archive are the images that they lead to", async () => {
    const entries: { header: object; body?: Uint8Array }[] = [
      { header: { name: "train/a/1.png", size: png(1).length }, body: png(1) },
      { header: { name: "train/a/2.png", type: "link", linkname: "train/a/1.png", size: 0 } },
      { header: { name: "train/b/3.png", type: "symlink", linkname: "../a/1.png", size: 0 } },
      { header: { name: "test/a/4.png", size: png(4).length }, body: png(4) },
    ];
    const { train } = await loadImages(await write("links.tar", await packTar(entries as Parameters<typeof packTar>[0])));
    expect([...train.labels]).toEqual([0, 0, 1]);
    expect([...train.images]).toEqual([1, 1, 1].flatMap((item) => planes(item)));
    const lost = [...entries, { header: { name: "train/b/5.png", type: "link", linkname: "train/gone.png", size: 0 } }];
    const path = await write("lost.tar", await packTar(lost as Parameters<typeof packTar>[0]));
    expect(await fault(path)).toMatchObject({
      code: "brokenLink",
      message: expect.stringMatching(/5\.png is a link to .*train\/gone\.png/),
    });
  });

  test.each(["set.tar", "set.tar.gz", "set.tgz"])("%s holds what the folder holds, in the same order", async (name) => {
    await writeFolder(folderFiles);
    const archive = await tar({ ...folderFiles, "README.md": Buffer.from("hello") });
    const told: number[][] = [];
    const fromArchive = await loadImages(await write(name, name.endsWith(".tar") ? archive : gzipSync(archive)), {
      onProgress: (...progress) => told.push(progress),
    });
    expect(fromArchive.name).toBe("set");
    expect(content(fromArchive)).toEqual(content(await loadImages(root)));
    expect(told).toEqual([[4, 1]]);
  });

  test("what is passed over is counted and said: in a folder, a folder of classes, an archive", async () => {
    const notices = async (path: string): Promise<string[]> => {
      const told: string[] = [];
      await loadImages(path, { onNotice: (message) => told.push(message) });
      return told;
    };
    await writeFolder(folderFiles);
    expect(await notices(root)).toEqual([]);
    await write("train/cat/notes.txt", "no image");
    await write("train/cat/._1.png", "a resource fork");
    await write("train/cat/.DS_Store", "");
    await write("train/cat/old/1.png", png(1));
    await write("train/stray.png", png(1));
    await write("LICENSE", "");
    await mkdir(join(root, "train/empty"));
    const [said, ...more] = await notices(root);
    expect(more).toEqual([]);
    for (const part of [
      /files that are neither .png nor .jpg: 1 \([^)]*notes.txt\)/,
      /hidden files: 2 \(the first: /,
      /folders inside a class: 1 \([^)]*old\)/,
      /files outside a class: 1 \([^)]*stray.png\)/,
      /classes without images: 1 \([^)]*empty\)/,
      /beside train and test: 1 \([^)]*LICENSE\)/,
    ])
      expect(said).toMatch(part);
    expect(await fault(join(root, "train"))).toMatchObject({
      code: "emptySplit",
      message: expect.stringMatching(/--val-split 0.1 of the 3/),
    });
    const classes: string[] = [];
    await loadImages(join(root, "train"), { valSplit: 0.5, onNotice: (message) => classes.push(message) });
    expect(classes[0]).toMatch(/hidden files: 2 .*classes without images: 1/s);

    const files = { ...folderFiles, "README.md": Buffer.from("hello"), "train/.x": Buffer.from(""), "more/cat/1.png": png(1) };
    const [ofArchive] = await notices(await write("set.tar", await tar(files)));
    for (const part of ["jpg: 1 (set/README.md)", "hidden files: 1 (set/train/.x)", "test/CLASS: 1 (set/more/cat/1.png)"])
      expect(ofArchive).toContain(part);
  });

  test("the test part may be called val or validation; without one, an archive holds out what a folder holds out", async () => {
    const renamed = (name: string): typeof folderFiles =>
      Object.fromEntries(Object.entries(folderFiles).map(([path, bytes]) => [path.replace(/^test/, name), bytes])) as typeof folderFiles;
    await writeFolder(folderFiles);
    const expected = content(await loadImages(root));
    for (const name of ["val", "validation"]) {
      expect(content(await loadImages(await write(`${name}.tar`, await tar(renamed(name)))))).toEqual(expected);
      await rm(join(root, "test"), { recursive: true, force: true });
      await writeFolder(renamed(name));
      expect(content(await loadImages(root))).toEqual(expected);
      await rm(join(root, name), { recursive: true });
    }
    const unsplit = Object.fromEntries(
      ["a", "b"].flatMap((name) => Array.from({ length: 5 }, (_, i) => [`train/${name}/${i}.png`, png(i)] as const)),
    );
    await rm(join(root, "train"), { recursive: true });
    await writeFolder(unsplit);
    for (const valSplit of [0.2, 0.4]) {
      const held = await loadImages(root, { valSplit });
      expect(held.test.count).toBe(valSplit * 10);
      expect(content(await loadImages(await write("unsplit.tar", await tar(unsplit)), { valSplit }))).toEqual(content(held));
    }
  });

  test("an archive that is cut off or no archive is refused", async () => {
    const whole = await tar(folderFiles);
    const zipped = gzipSync(whole);
    expect(await fault(await write("a.tar.gz", zipped.subarray(0, zipped.length - 100)))).toMatchObject({ code: "truncated" });
    expect(await fault(await write("b.tar", whole.subarray(0, 700)))).toMatchObject({ code: "truncated" });
    expect(await fault(await write("c.tar", Buffer.alloc(2048, 1)))).toMatchObject({ code: "truncated" });
    expect(await fault(await write("d.tar", await tar({ "README.md": Buffer.from("hello") })))).toMatchObject({ code: "emptySplit" });
    expect(await fault(await write("e.tar", await tar({ ...folderFiles, "train/cat/3.png": png(3, 6) })))).toMatchObject({
      code: "sizesDiffer",
    });
  });

  test("the decoded images are kept for the archive as it is, and not used once it or they have changed", async () => {
    const path = await write("set.tar", await tar(folderFiles));
    const dataset = await loadImages(path);
    const cache = join(root, "cache");
    const identity = { path, size: 1, mtimeMs: 2 };
    expect(await readDecoded(cache, identity)).toBeUndefined();
    await writeDecoded(cache, identity, dataset);
    expect(await readDecoded(cache, identity)).toEqual(dataset);
    expect(await readDecoded(cache, { ...identity, mtimeMs: 3 })).toBeUndefined();
    const files = await readdir(cache);
    expect(files).toHaveLength(1);
    const bytes = await readFile(join(cache, files[0]!));
    bytes[bytes.length - 1]! ^= 1;
    await writeFile(join(cache, files[0]!), bytes);
    expect(await readDecoded(cache, identity)).toBeUndefined();
    await truncate(join(cache, files[0]!), 20);
    expect(await readDecoded(cache, identity)).toBeUndefined();
  });

  test("a folder that cannot be written keeps nothing and disturbs nothing", async () => {
    const path = await write("set.tar", await tar(folderFiles));
    const notAFolder = await write("file", "");
    await utimes(notAFolder, 0, 0);
    await writeDecoded(notAFolder, { path, size: 1, mtimeMs: 2 }, await loadImages(path));
    expect(await readdir(root)).toEqual(["file", "set.tar"]);
  });
});

describe("what is no data set", () => {
  test("a missing path says what is accepted", async () => {
    const { code, message } = await fault(join(root, "nothing"));
    expect(code).toBe("noData");
    for (const part of ["CIFAR-10", "IDX", "train/CLASS", "embedded"]) expect(message).toContain(part);
  });

  test("an unknown file and an unknown folder say what is accepted", async () => {
    const path = await write("model.rar", "PK");
    expect(await fault(path)).toMatchObject({ code: "unknownFormat", message: expect.stringContaining("IDX") });
    expect(await fault(root)).toMatchObject({ code: "unknownFormat", message: expect.stringContaining("model.rar") });
  });
});
