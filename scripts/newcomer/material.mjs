// What the commands of README and GUIDE are about, small: images in PATH/, a table, a photo, a book, a chapter, a tokenizer.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encode } from "fast-png";

const size = 16;

/** Whether a pixel is of the figure's colour, by class; u and v from the middle, i the number of the picture. */
const figures = {
  circles: (u, v, i) => Math.hypot(u, v) < 3 + (i % 5),
  rings: (u, v, i) => Math.abs(Math.hypot(u, v) - 3 - (i % 4)) < 1.2,
  stripes: (u, v, i) => (u + v + 64 + i) % (4 + (i % 3)) < 2,
  crosses: (u, v, i) => Math.min(Math.abs(u), Math.abs(v)) < 1 + (i % 3),
};
const classes = Object.keys(figures);

/** A figure of random size and colour, told apart by eye and by a network. */
function picture(className, i) {
  const colour = [(i * 53) % 256, (i * 97) % 256, (i * 151) % 256];
  const ground = colour.map((value) => 255 - value);
  const data = new Uint8Array(size * size * 3);
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++) {
      const isFigure = figures[className](x - size / 2, y - size / 2, i);
      data.set(isFigure ? colour : ground, 3 * (y * size + x));
    }
  return encode({ width: size, height: size, channels: 3, data });
}

/** A byte-level BPE tokenizer without merges, as tokenizer.json has it: a symbol for each byte. */
function tokenizer() {
  const printable = (byte) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
  let other = 0;
  const symbols = Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : 256 + other++));
  const level = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: "1.0",
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: level,
    post_processor: null,
    decoder: level,
    model: { type: "BPE", vocab: Object.fromEntries(symbols.map((symbol, i) => [symbol, i])), merges: [] },
  };
}

/** @param root the package's checkout, whose documents are the book. */
export function writeMaterial(folder, root) {
  for (const [split, count] of [
    ["train", 50],
    ["test", 10],
  ])
    for (const className of classes) {
      const into = join(folder, "PATH", split, className);
      mkdirSync(into, { recursive: true });
      for (let i = 0; i < count; i++) writeFileSync(join(into, `${i}.png`), picture(className, i));
    }
  writeFileSync(join(folder, "photo.png"), picture("circles", 1));
  const book = ["README.md", "docs/GUIDE.md", "docs/ARCHITECTURE.md", "docs/QUALITY.md"].map((name) =>
    readFileSync(join(root, name), "utf8"),
  );
  writeFileSync(join(folder, "book.txt"), book.join("\n"));
  writeFileSync(join(folder, "chapter.txt"), book[0].slice(0, 2000));
  const flowers = Array.from(
    { length: 300 },
    (_, i) => `${(i % 3) + (i % 7) / 20},${((i * 5) % 11) / 10},${["iris", "rose", "tulip"][i % 3]}`,
  );
  writeFileSync(join(folder, "flowers.csv"), ["length,width,species", ...flowers].join("\n"));
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(tokenizer()));
  for (const name of ["mixer.mjs", "local-loss.mjs"]) cpSync(join(root, "examples", name), join(folder, name));
}
