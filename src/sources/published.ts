import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { readLimits } from "../data/index.ts";
import { DataError, UsageError } from "../errors.ts";
import { type DownloadOptions, download, type PublishedFile } from "./download.ts";
import { openZip } from "./zip.ts";

/** A data set with a published address. */
export interface PublishedDataset {
  readonly name: string;
  readonly description: string;
  /** Its files by the names under which they are kept. */
  readonly files: Readonly<Record<string, PublishedFile>>;
  /** Files of an archive that are unpacked, by the names under which they are kept; readers take all others as they are. */
  readonly unpacked?: Readonly<Record<string, string>>;
  /** What `--data NAME` reads, in the folder of the data set: the folder itself by default. */
  readonly path?: string;
}

const one = (address: string, bytes: number, sha256: string): PublishedFile => ({ addresses: [address], bytes, sha256 });

function idxFiles(base: string, files: readonly (readonly [name: string, bytes: number, sha256: string])[]): Record<string, PublishedFile> {
  return Object.fromEntries(files.map(([name, bytes, sha256]) => [name, one(`${base}/${name}`, bytes, sha256)]));
}

/** Lengths and checksums are those that TensorFlow Datasets and users of the files have recorded. */
export const publishedDatasets: readonly PublishedDataset[] = [
  {
    name: "cifar10",
    description: "60,000 photographs, 32×32, 10 classes",
    files: {
      "cifar-10-binary.tar.gz": one(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        170_052_171,
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
      ),
    },
    path: "cifar-10-binary.tar.gz",
  },
  {
    name: "cifar100",
    description: "60,000 photographs, 32×32, 100 classes",
    files: {
      "cifar-100-binary.tar.gz": one(
        "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        168_513_733,
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
      ),
    },
    path: "cifar-100-binary.tar.gz",
  },
  {
    name: "mnist",
    description: "70,000 handwritten digits, 28×28",
    files: idxFiles("https://storage.googleapis.com/cvdf-datasets/mnist", [
      ["train-images-idx3-ubyte.gz", 9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"],
      ["train-labels-idx1-ubyte.gz", 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"],
      ["t10k-images-idx3-ubyte.gz", 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"],
      ["t10k-labels-idx1-ubyte.gz", 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"],
    ]),
  },
  {
    name: "fashion-mnist",
    description: "70,000 pieces of clothing, 28×28, 10 classes",
    files: idxFiles("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com", [
      ["train-images-idx3-ubyte.gz", 26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"],
      ["train-labels-idx1-ubyte.gz", 29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"],
      ["t10k-images-idx3-ubyte.gz", 4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"],
      ["t10k-labels-idx1-ubyte.gz", 5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"],
    ]),
  },
  {
    name: "tiny-imagenet",
    description: "110,000 photographs, 64×64, 200 classes",
    files: {
      "tiny-imagenet-200.zip": one(
        "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
        248_100_043,
        "6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821",
      ),
    },
    path: "tiny-imagenet-200.zip",
  },
  {
    name: "text8",
    description: "100 million characters of Wikipedia, a to z and the space",
    files: {
      "text8.zip": one(
        "http://mattmahoney.net/dc/text8.zip",
        31_344_016,
        "a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232",
      ),
    },
    unpacked: { text8: "text8" },
    path: "text8",
  },
  {
    name: "wikitext-2",
    description: "2 million words of Wikipedia, in three parts",
    files: {
      "wikitext-2-v1.zip": {
        addresses: [
          "https://wikitext.smerity.com/wikitext-2-v1.zip",
          "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-2-v1.zip",
        ],
        bytes: 4_475_746,
        sha256: "92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c",
      },
    },
    unpacked: {
      "wikitext-2/wiki.train.tokens": "text/train.txt",
      "wikitext-2/wiki.valid.tokens": "text/validation.txt",
      "wikitext-2/wiki.test.tokens": "text/test.txt",
    },
    path: "text",
  },
];

/** Where published data sets are kept: $DBLOCKS_DOWNLOADS, else $XDG_CACHE_HOME/dblocks/data, else ~/.cache/dblocks/data. */
export function publishedFolder(): string {
  return process.env.DBLOCKS_DOWNLOADS ?? join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "dblocks", "data");
}

/** @throws {UsageError} if there is no data set of this name. */
export function publishedDataset(name: string, all: readonly PublishedDataset[] = publishedDatasets): PublishedDataset {
  const found = all.find((dataset) => dataset.name === name);
  if (found !== undefined) return found;
  const names = all.map((dataset) => dataset.name);
  throw new UsageError("noDataset", { name, names }, `There is no published data set "${name}". Known: ${names.join(", ")}.`);
}

/** Whether a path is the name of a published data set, and not that of a file or folder here. */
export function isPublished(path: string): boolean {
  return publishedDatasets.some(({ name }) => name === path) && !existsSync(path);
}

/**
 * The path of a data set that is given by a path or by the name of a published one; a file or folder of that name goes first.
 *
 * @throws {DataError} if the name is that of a data set which was not downloaded yet.
 */
export async function pathOfData(path: string, folder: string = publishedFolder()): Promise<string> {
  if (!isPublished(path)) return path;
  const dataset = publishedDataset(path);
  const kept = join(folder, dataset.name, dataset.path ?? "");
  const files = [...Object.keys(dataset.files).filter(() => dataset.unpacked === undefined), ...Object.values(dataset.unpacked ?? {})];
  if ((await Promise.all(files.map((name) => isThere(join(folder, dataset.name, name))))).every(Boolean)) return kept;
  const message = `${path} is not in ${folder} yet. Download it: npx dblocks data get ${path}`;
  throw new DataError("notDownloaded", { name: path, folder }, message);
}

/**
 * Downloads what is missing of a data set, and unpacks what readers do not read packed.
 *
 * @returns the path that `--data NAME` reads.
 * @throws {DataError} as {@link download} does.
 */
export async function getPublished(
  dataset: PublishedDataset,
  {
    folder = publishedFolder(),
    ...options
  }: DownloadOptions & { readonly folder?: string; readonly onFile?: ((name: string) => void) | undefined } = {},
): Promise<string> {
  const home = join(folder, dataset.name);
  for (const [name, file] of Object.entries(dataset.files)) {
    const path = join(home, name);
    const unpacked = Object.entries(dataset.unpacked ?? {});
    if (unpacked.length > 0 && (await Promise.all(unpacked.map(([, to]) => isThere(join(home, to))))).every(Boolean)) continue;
    options.onFile?.(name);
    if (!(await isThere(path))) await download(file, path, options);
    if (unpacked.length > 0) await unpack(path, new Map(unpacked), home);
  }
  return join(home, dataset.path ?? "");
}

/** Unpacks some files of a zip, all or none, and removes it. */
async function unpack(path: string, names: ReadonlyMap<string, string>, home: string): Promise<void> {
  const unfinished = await mkdtemp(join(home, "unfinished-"));
  try {
    await using archive = await openZip(path, readLimits);
    for (const [name, to] of names) {
      const entry = archive.entries.find((one) => one.name === name);
      if (entry === undefined)
        throw new DataError("missingFile", { path, name }, `${path} has no ${name}. Remove it and download it again.`);
      await writeFile(join(unfinished, to.replaceAll("/", "-")), await entry.read());
    }
    for (const to of names.values()) {
      await mkdir(dirname(join(home, to)), { recursive: true });
      await rename(join(unfinished, to.replaceAll("/", "-")), join(home, to));
    }
    await rm(path);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
