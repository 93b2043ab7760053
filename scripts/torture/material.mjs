import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Small data: a hundred images in CIFAR-10's format, and a text. */
export function writeMaterial(root) {
  const images = join(root, "images");
  mkdirSync(images, { recursive: true });
  writeFileSync(join(images, "data_batch_1.bin"), records(100, 1));
  writeFileSync(join(images, "test_batch.bin"), records(20, 2));
  const text = join(root, "text.txt");
  writeFileSync(text, "The king was in his counting house, counting out his money. ".repeat(80));
  return { images, text };
}

function records(count, seed) {
  const bytes = new Uint8Array(count * 3073);
  for (let i = 0; i < bytes.length; i++) bytes[i] = i % 3073 === 0 ? (i / 3073) % 10 : (Math.imul(i + seed, 2_654_435_761) >>> 20) % 256;
  return bytes;
}
