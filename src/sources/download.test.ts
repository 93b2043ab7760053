import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { storedZip } from "../../test/support/zip.ts";
import { DataError } from "../errors.ts";
import { download, type PublishedFile } from "./download.ts";
import { getPublished, type PublishedDataset, pathOfData, publishedDatasets } from "./published.ts";

const content = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31 + (i >> 8)) % 256));
const sha256 = createHash("sha256").update(content).digest("hex");

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let root: string;
let server: Server;
let answer: Answer;
let ranges: (string | undefined)[];
let file: PublishedFile;
let path: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "dblocks-download-"));
  path = join(root, "data", "file.bin");
  ranges = [];
  server = createServer((request, response) => {
    ranges.push(request.headers.range);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  file = { addresses: [`http://127.0.0.1:${(server.address() as AddressInfo).port}/file`], bytes: content.length, sha256 };
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(root, { recursive: true });
});

/** From where a request asks. */
const startOf = ({ headers }: IncomingMessage): number => Number(/bytes=(\d+)-/.exec(headers.range ?? "bytes=0-")![1]);

function serve(request: IncomingMessage, response: ServerResponse): void {
  const from = startOf(request);
  const headers = { "content-length": content.length - from, "content-range": `bytes ${from}-${content.length - 1}/${content.length}` };
  response.writeHead(from > 0 ? 206 : 200, headers).end(content.subarray(from));
}

async function fault(of: PublishedFile = file): Promise<DataError> {
  const error: unknown = await download(of, path).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DataError);
  return error as DataError;
}

const kept = async (): Promise<string[]> => await readdir(join(root, "data")).catch(() => []);

describe("a download", () => {
  test("is in its place once it is whole, and nothing beside it", async () => {
    answer = serve;
    const seen: number[] = [];
    await download(file, path, { onProgress: (bytes) => seen.push(bytes) });
    expect(await readFile(path)).toEqual(content);
    expect(await kept()).toEqual(["file.bin"]);
    expect(seen.at(-1)).toBe(content.length);
  });

  test("goes on behind what has arrived, each time the server breaks off", async () => {
    answer = (request, response) => {
      const from = startOf(request);
      if (from > 200_000) return serve(request, response);
      response.writeHead(from > 0 ? 206 : 200, { "content-range": `bytes ${from}-${content.length - 1}/${content.length}` });
      response.write(content.subarray(from, from + 70_000), () => setTimeout(() => response.destroy(), 20));
    };
    await download(file, path);
    expect(await readFile(path)).toEqual(content);
    expect(ranges.length).toBeGreaterThan(2);
    expect(ranges.slice(1).every((range) => /^bytes=[1-9]\d*-$/.test(range ?? ""))).toBe(true);
  });

  test("goes on in a later call, and starts anew where a server sends everything", async () => {
    await mkdir(join(root, "data"), { recursive: true });
    await writeFile(`${path}.part`, content.subarray(0, 123_456));
    answer = serve;
    await download(file, path);
    expect(ranges).toEqual(["bytes=123456-"]);
    await rm(path);
    await writeFile(`${path}.part`, content.subarray(0, 1000));
    answer = (_, response) => response.end(content);
    await download(file, path);
    expect(await readFile(path)).toEqual(content);
  });

  test.each<[string, Answer, RegExp]>([
    ["a length that is not the known one", (_, response) => response.end(content.subarray(1)), /has 299999 bytes, 300000 are expected/],
    [
      "more than it said",
      (_, response) => {
        response.writeHead(200, { "transfer-encoding": "chunked" });
        response.write(content);
        response.end("more");
      },
      /sends more than the 300000 bytes/,
    ],
    [
      "another file of the same length",
      (_, response) => response.end(Buffer.alloc(content.length)),
      /sent another file: its SHA-256 is .* is expected\. Nothing was kept/,
    ],
    ["a page that says no", (_, response) => response.writeHead(404).end("no"), /answers 404/],
  ])("%s is refused, and nothing is kept", async (_, wrong, message) => {
    answer = wrong;
    const { code, message: said } = await fault();
    expect([code, said]).toEqual(["download", expect.stringMatching(message)]);
    expect(await kept()).toEqual([]);
  });

  test("a server that breaks off for good: what has arrived is kept, and said", async () => {
    answer = (request, response) => {
      if (startOf(request) > 0) return response.destroy();
      response.writeHead(200, { "content-length": content.length });
      response.write(content.subarray(0, 100_000), () => setTimeout(() => response.destroy(), 20));
    };
    const { code, message } = await fault();
    expect(code).toBe("noNetwork");
    expect(message).toMatch(/^The network does not answer .* [1-9]\d* of 300000 bytes are kept: the same command goes on there/);
    expect(message).not.toContain("\n");
    expect(await kept()).toEqual(["file.bin.part"]);
  });

  test("without a network one sentence says so; another address is asked before", async () => {
    const dead = "http://127.0.0.1:9/file";
    expect((await fault({ ...file, addresses: [dead] })).message).toMatch(
      /^The network does not answer \(http:\/\/127\.0\.0\.1:9\/file: .*\)\. Or copy the file to /,
    );
    answer = serve;
    await download({ ...file, addresses: [dead, ...file.addresses] }, path);
    expect(await readFile(path)).toEqual(content);
  });

  test("can be stopped", async () => {
    const stop = new AbortController();
    answer = (_, response) => {
      response.writeHead(200, { "content-length": content.length });
      response.write(content.subarray(0, 1000), () => stop.abort(new Error("stopped")));
    };
    await expect(download(file, path, { signal: stop.signal })).rejects.toThrow("stopped");
  });
});

describe("published data sets", () => {
  test("names, addresses, lengths and checksums are such", () => {
    for (const { name, files } of publishedDatasets)
      for (const { addresses, bytes, sha256: digest } of Object.values(files)) {
        expect(
          addresses.every((address) => URL.canParse(address)),
          name,
        ).toBe(true);
        expect([Number.isSafeInteger(bytes), /^[0-9a-f]{64}$/.test(digest)], name).toEqual([true, true]);
      }
  });

  test("an archive of a text is unpacked once, and removed", async () => {
    const zip = storedZip({ "deep/a.txt": Buffer.from("hello") });
    const dataset: PublishedDataset = {
      name: "tiny",
      description: "",
      files: { "tiny.zip": { ...file, bytes: zip.length, sha256: createHash("sha256").update(zip).digest("hex") } },
      unpacked: { "deep/a.txt": "text/train.txt" },
      path: "text",
    };
    answer = (_, response) => response.end(zip);
    const found = await getPublished(dataset, { folder: root });
    expect(await readFile(join(found, "train.txt"), "utf8")).toBe("hello");
    expect(await readdir(join(root, "tiny"))).toEqual(["text"]);
    await getPublished(dataset, { folder: root });
    expect(ranges).toHaveLength(1);
    await rm(join(root, "tiny"), { recursive: true });
    await expect(getPublished({ ...dataset, unpacked: { "b.txt": "b" } }, { folder: root })).rejects.toThrow(/has no b\.txt/);
  });

  test("a name is a path where such a file is; else the downloaded data set, or the command that downloads it", async () => {
    expect(await pathOfData("/some/where", root)).toBe("/some/where");
    await expect(pathOfData("mnist", root)).rejects.toThrow(/mnist is not in .* yet\. Download it: npx dblocks data get mnist/);
    await mkdir(join(root, "cifar10"), { recursive: true });
    await writeFile(join(root, "cifar10", "cifar-10-binary.tar.gz"), "");
    expect(await pathOfData("cifar10", root)).toBe(join(root, "cifar10", "cifar-10-binary.tar.gz"));
  });
});
