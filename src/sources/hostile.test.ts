import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { crc32, deflateSync, gzipSync } from "node:zlib";
import { encode as encodePng } from "fast-png";
import jpeg from "jpeg-js";
import { packTar } from "modern-tar";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { cutAfter, type ReadLimits, readLimits, tokenizerFromJson } from "../data/index.ts";
import { DataError, DiffusionBlocksError } from "../errors.ts";
import { writeSafetensors } from "../formats/index.ts";
import { decodeImage } from "./decodeImage.ts";
import { loadImages } from "./load.ts";
import { loadText } from "./loadText.ts";
import { tarEntries } from "./tar.ts";

// Files that ask for more than they are: each is refused at once, by an error that names it, the record and the bound.

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "dblocks-hostile-"));
});
afterEach(() => rm(root, { recursive: true }));

async function write(name: string, bytes: Uint8Array | string): Promise<string> {
  const path = join(root, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
  return path;
}

async function refusal(promise: Promise<unknown>): Promise<DiffusionBlocksError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DiffusionBlocksError);
  return error as DiffusionBlocksError;
}

const load = (path: string, limits?: Partial<ReadLimits>): Promise<unknown> =>
  loadImages(path, { cacheFolder: join(root, "cache"), limits });

function chunk(type: string, data: Uint8Array): Uint8Array {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const out = Buffer.alloc(8 + body.length);
  out.writeUInt32BE(data.length, 0);
  out.set(body, 4);
  out.writeUInt32BE(crcOf(body), 4 + body.length);
  return out;
}

/** `crc32` of Node 22, or by the table of the PNG specification. */
function crcOf(bytes: Uint8Array): number {
  if (typeof crc32 === "function") return crc32(bytes);
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

interface PngOptions {
  readonly colour?: number;
  readonly depth?: number;
  readonly rows?: Uint8Array;
  readonly extra?: readonly Uint8Array[];
}

/** A PNG written chunk by chunk, so that its header may promise what is not there. */
function rawPng(width: number, height: number, { colour = 2, depth = 8, rows, extra = [] }: PngOptions = {}): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, colour, 0, 0, 0], 8);
  const data = deflateSync(rows ?? Buffer.alloc(height * (1 + 3 * width)));
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  return Buffer.concat([signature, chunk("IHDR", header), ...extra, chunk("IDAT", data), chunk("IEND", new Uint8Array())]);
}

describe("images", () => {
  const refused = (bytes: Uint8Array, limits?: Pick<ReadLimits, "imagePixels">): { code: string; message: string } => {
    try {
      decodeImage("a/x.png", bytes, limits);
    } catch (error) {
      if (error instanceof DataError) return error;
      throw error;
    }
    throw new Error("it was decoded");
  };

  test("more pixels than the limit are refused by the header, with the option that allows them", () => {
    const { code, message } = refused(rawPng(60_000, 60_000, { rows: Buffer.alloc(10) }));
    expect(code).toBe("tooManyPixels");
    for (const part of ["a/x.png", "60000×60000", `${readLimits.imagePixels} pixels`, "--max-image-pixels 3600000000"])
      expect(message).toContain(part);
    expect(decodeImage("a/x.png", rawPng(8, 8), { imagePixels: 64 })).toMatchObject({ width: 8, height: 8 });
    expect(refused(rawPng(9, 8), { imagePixels: 64 }).code).toBe("tooManyPixels");
  });

  test.each([
    [0, 0],
    [0, 5],
    [5, 0],
  ])("an image of %d×%d has no pixels", (width, height) => {
    expect(refused(rawPng(width, height, { rows: new Uint8Array(1) }))).toMatchObject({ code: "noPixels" });
  });

  test("pixels that unpack to more or to less than the header promises are refused", () => {
    expect(refused(rawPng(4, 4, { rows: Buffer.alloc(2 ** 24) })).code).toBe("badImage");
    expect(refused(rawPng(4, 4, { rows: Buffer.alloc(51) })).message).toContain("fewer pixels than its header promises");
    expect(refused(rawPng(2000, 2000, { rows: Buffer.alloc(1) })).message).toContain("fewer pixels than its header promises");
  });

  test("colour profiles and texts are not unpacked", () => {
    const bomb = deflateSync(Buffer.alloc(2 ** 26));
    const extra = [
      chunk("iCCP", Buffer.concat([Buffer.from("a\0\0", "latin1"), bomb])),
      chunk("zTXt", Buffer.concat([Buffer.from("a\0\0", "latin1"), bomb])),
    ];
    const before = process.memoryUsage().arrayBuffers;
    expect(decodeImage("x.png", rawPng(4, 4, { extra })).width).toBe(4);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 25);
  });

  test("a JPEG that claims more pixels than its bytes can hold is refused, and one of too many by the limit", () => {
    const bytes = Buffer.from(jpeg.encode({ width: 32, height: 32, data: Buffer.alloc(4 * 1024, 9) }, 90).data);
    expect(decodeImage("x.jpg", bytes)).toMatchObject({ width: 32, height: 32 });
    expect(refused(bytes, { imagePixels: 1000 }).code).toBe("tooManyPixels");
    const frame = bytes.indexOf(Uint8Array.of(0xff, 0xc0));
    bytes.writeUInt16BE(9900, frame + 5);
    bytes.writeUInt16BE(9900, frame + 7);
    expect(refused(bytes).message).toContain("fewer pixels than its header promises");
    bytes.writeUInt16BE(0, frame + 5);
    expect(refused(bytes).code).toBe("noPixels");
  });

  test("pipes, devices and files that no image needs are not read", async () => {
    for (const [i, part] of ["train/a/1.png", "test/a/1.png"].entries())
      await write(part, encodePng({ width: 2, height: 2, channels: 3, data: new Uint8Array(12).fill(i) }));
    execFileSync("mkfifo", [join(root, "train/a/2.png")]);
    const notices: string[] = [];
    await loadImages(root, { cacheFolder: join(root, "cache"), onNotice: (text) => notices.push(text) });
    expect(notices.join()).toContain("no files of a disk: 1");
    await symlink("/dev/zero", join(root, "train/a/3.png"));
    expect(await refusal(load(root))).toMatchObject({ code: "notFile", message: expect.stringContaining("3.png") });
    await rm(join(root, "train/a/3.png"));
    await write("train/a/3.png", new Uint8Array(2 ** 20 + 16 * 100 + 1));
    expect(await refusal(load(root, { imagePixels: 100 }))).toMatchObject({ code: "fileTooLarge" });
    expect(await refusal(load(join(root, "train/a/2.png")))).toMatchObject({ code: "notFile" });
  });
});

describe("archives", () => {
  const image = encodePng({ width: 2, height: 2, channels: 3, data: new Uint8Array(12).fill(7) });
  const entry = (name: string, body: Uint8Array = image) => ({ header: { name, size: body.length }, body });

  test("every cut of an archive is refused, whatever stands before the cut, and none is waited for", async () => {
    const whole = await packTar([entry("train/a/1.png"), entry("tvain/a/2.png"), entry("README"), entry("test/a/3.png")]);
    const unpack = async (bytes: Uint8Array): Promise<number> => {
      let count = 0;
      for await (const { read, name } of tarEntries(inPieces(bytes, 300))) {
        if (name.startsWith("t")) await read();
        count++;
      }
      return count;
    };
    expect(await unpack(whole)).toBe(4);
    const mark = whole.length - 1024; // the end mark: one block of zeros is enough
    for (let cut = 0; cut < mark + 512; cut += 37)
      await expect(unpack(whole.subarray(0, cut)), `cut at ${cut}`).rejects.toThrow(RangeError);
    for (const cut of [0, 1, 511, 512, 1000, mark - 1]) {
      const path = await write("cut.tar", whole.subarray(0, cut));
      expect(await refusal(load(path))).toMatchObject({ code: "truncated", message: expect.stringContaining(path) });
      const gz = await write("cut.tar.gz", gzipSync(whole.subarray(0, cut)));
      expect(await refusal(load(gz))).toMatchObject({ code: "truncated" });
    }
  });

  async function* inPieces(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
  }

  test("long names, pax records and links are read as another program writes them", async () => {
    const long = `train/${"folder/".repeat(40)}a/1.png`;
    const archive = await packTar([entry(long), { header: { name: "l", type: "symlink", linkname: long, size: 0 } }]);
    const found = [];
    for await (const { name, type, target, size } of tarEntries(inPieces(archive, 1000))) found.push({ name, type, target, size });
    expect(found).toEqual([
      { name: long, type: "file", target: "", size: image.length },
      { name: "l", type: "symlink", target: long, size: 0 },
    ]);
  });

  test("paths that leave the archive are passed over and said; links that leave it are refused", async () => {
    const names = ["../train/a/1.png", "/train/a/1.png", "x/../../train/a/1.png", "train/a/1.png", "test/a/1.png"];
    const path = await write("set.tar", await packTar(names.map((name) => entry(name))));
    const notices: string[] = [];
    const { train } = await loadImages(path, { cacheFolder: join(root, "cache"), onNotice: (text) => notices.push(text) });
    expect(train.count).toBe(1);
    expect(notices.join()).toContain("paths that leave the archive: 3 (the first: ../train/a/1.png)");
    for (const linkname of ["../../../etc/passwd", "/etc/passwd"]) {
      const link = { header: { name: "train/a/2.png", type: "symlink" as const, linkname, size: 0 } };
      const bad = await write("link.tar", await packTar([...names.slice(3).map((name) => entry(name)), link]));
      expect(await refusal(load(bad))).toMatchObject({ code: "brokenLink", message: expect.stringContaining("2.png") });
    }
  });

  test("an entry larger than any image is refused by its header, before it is read", async () => {
    const archive = Buffer.from(await packTar([entry("train/a/1.png")]));
    archive.fill(0, 124, 136); // a number as GNU tar writes large ones
    archive.writeUInt8(0x80, 124);
    archive.writeUInt32BE(2 ** 30, 132);
    resum(archive);
    expect(await refusal(load(await write("big.tar", archive)))).toMatchObject({
      code: "fileTooLarge",
      message: expect.stringMatching(/train\/a\/1\.png has 1073741824 bytes/),
    });
  });

  function resum(archive: Buffer): void {
    archive.fill(0x20, 148, 156);
    const sum = archive.subarray(0, 512).reduce((a, b) => a + b, 0);
    archive.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  }

  test("a gzip that unpacks to far more than it is is refused on the way", async () => {
    const path = await write("bomb.tar.gz", gzipSync(await packTar([entry("notes", Buffer.alloc(2 ** 27))])));
    expect(await refusal(load(path, { expansion: 10 }))).toMatchObject({
      code: "expansion",
      message: expect.stringMatching(/bomb\.tar\.gz.*--max-expansion/),
    });
  });
});

describe("IDX", () => {
  const idx = (dimensions: readonly number[], data: Uint8Array): Uint8Array => {
    const header = Buffer.alloc(4 + 4 * dimensions.length);
    header.set([0, 0, 8, dimensions.length]);
    for (const [i, dimension] of dimensions.entries()) header.writeUInt32BE(dimension, 4 + 4 * i);
    return Buffer.concat([header, data]);
  };
  const set = async (images: Uint8Array): Promise<string> => {
    for (const part of ["train", "t10k"]) await write(`${part}-labels-idx1-ubyte`, idx([1], Uint8Array.of(1)));
    await write("t10k-images-idx3-ubyte", idx([1, 2, 2], new Uint8Array(4)));
    return await write("train-images-idx3-ubyte.gz", gzipSync(images));
  };

  test("a gzip unpacks to what its header promises and no further", async () => {
    for (const [bytes, code] of [
      [Buffer.alloc(2 ** 26), "notIdx"],
      [idx([1, 2, 2], Buffer.alloc(2 ** 26)), "truncated"],
      [idx([1, 2, 2], Buffer.alloc(3)), "truncated"],
      [idx([0, 2, 2], Buffer.alloc(0)), "badSizes"],
      [idx([1, 0, 2], Buffer.alloc(0)), "badSizes"],
      [idx([1, 60_000, 60_000], Buffer.alloc(9)), "badSizes"],
      [idx([2 ** 32 - 1, 28, 28], Buffer.alloc(9)), "expansion"],
    ] as const) {
      const path = await set(bytes);
      expect(await refusal(load(root))).toMatchObject({ code, message: expect.stringContaining(path) });
    }
  });
});

describe("latents", () => {
  const file = (count: number, labels: readonly number[], value = 0.5): Promise<string> =>
    write(
      "x.safetensors",
      writeSafetensors([
        { name: "latents", dtype: "F32", shape: [count, 1, 2, 2], data: new Float32Array(4 * count).fill(value) },
        { name: "labels", dtype: "I32", shape: [labels.length], data: Int32Array.from(labels) },
      ]),
    );

  test.each([
    [[0, 1, -1], "labelOutOfRange", /labels, record 2, is -1/],
    [[0, 2e9, 1], "labelOutOfRange", /labels, record 1, is 2000000000.*--max-classes 100000/],
    [[0], "tooFew", /1 image/],
    [[], "empty", /\[0, 1, 2, 2\]/],
  ])("labels %j: %s", async (labels, code, message) => {
    const path = await file(labels.length, labels);
    const error = await refusal(load(path));
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(error.message).toContain(path);
  });

  test("values that are no finite numbers are named; the limit of classes is an option", async () => {
    expect(await refusal(load(await file(3, [0, 1, 2], Number.NaN)))).toMatchObject({ code: "notFinite" });
    expect(await refusal(load(await file(3, [0, 1, 2]), { classes: 2 }))).toMatchObject({
      message: expect.stringContaining("record 2, is 2"),
    });
    expect(await load(await file(3, [0, 1, 2]), { classes: 3 })).toMatchObject({ numClasses: 3 });
  });
});

describe("text", () => {
  test.each([{ a: 1 }, -3, 2 ** 40, 0.5, null, "1"])("a tokenizer whose token has the number %j is refused with both", (id) => {
    const json = { model: { type: "WordLevel", vocab: { known: 0, odd: id }, unk_token: "known" } };
    expect(() => tokenizerFromJson(json, "words")).toThrow(
      /words is no tokenizer\.json: the token "odd" has the number .*expected is 0 to 1048575/,
    );
    const added = { model: { type: "WordLevel", vocab: { known: 0 }, unk_token: "known" }, added_tokens: [{ content: "odd", id }] };
    expect(() => tokenizerFromJson(added, "words")).toThrow(/"odd" has the number/);
  });

  test.each([{}, { model: {} }, { model: { vocab: {} } }, { model: { vocab: 3 } }, null, [], 7])("%j is no tokenizer", (json) => {
    expect(() => tokenizerFromJson(json, "words")).toThrow(DataError);
  });

  test("words that a WordLevel vocabulary does not have are its unk_token; without one they are refused", () => {
    const parts = { added_tokens: [], normalizer: null, pre_tokenizer: { type: "Whitespace" }, post_processor: null, decoder: null };
    const model = { type: "WordLevel", vocab: { hello: 0, world: 1, "<unk>": 2 }, unk_token: "<unk>" };
    expect([...tokenizerFromJson({ ...parts, model }, "words").encode("hello there world")]).toEqual([0, 2, 1]);
    const without = tokenizerFromJson({ ...parts, model: { ...model, unk_token: null, vocab: { hello: 0, "\n": 1 } } }, "words");
    expect(() => without.encode("hello there")).toThrow(/words is no tokenizer\.json: it has no token for a part of the text/);
  });

  test("a text without a place to be cut is cut all the same, between characters", () => {
    expect(cutAfter("x".repeat(1600), 100)).toBeUndefined();
    expect(cutAfter("x".repeat(1601), 100)).toBe(1600);
    expect(cutAfter(`x${"😀".repeat(1000)}`, 100)).toBe(1599);
    expect(cutAfter(`${"x".repeat(150)} y${"x".repeat(5000)}`, 100)).toBe(150);
  });

  test("a pipe is no text", async () => {
    execFileSync("mkfifo", [join(root, "pipe")]);
    expect(await refusal(loadText(join(root, "pipe"), "bytes", { cacheFolder: root }))).toMatchObject({ code: "notFile" });
  });
});
