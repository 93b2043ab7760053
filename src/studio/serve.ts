import { createReadStream, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, sep } from "node:path";
import { pipeline } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Registry } from "../define/index.ts";
import { UsageError } from "../errors.ts";
import { registry as builtIn } from "../registry/index.ts";
import { type Live, liveView } from "./live.ts";
import { LiveRuns } from "./liveRuns.ts";

export interface ServeOptions {
  /** A folder of runs to be looked at while they train. */
  readonly runs?: string | undefined;
  /** Whether the page may stop runs. Without it nothing can be changed. */
  readonly control?: boolean;
  /** Models and methods; those of the package by default. */
  readonly registry?: Registry;
  /** 0 takes any that is free. */
  readonly port: number;
  /** The built page; the package's own by default. */
  readonly page?: string;
}

export interface StudioServer {
  /** "http://127.0.0.1:4178/" */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * What every answer says. Nothing from elsewhere is loaded or run, no page of another origin may show or read this one, and memory may
 * be shared between threads (COOP and COEP).
 */
const headers: Readonly<Record<string, string>> = {
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "Cache-Control": "no-cache",
};

const types: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/** The files of ONNX Runtime that a page may load; they come from the installed package and fit each other. */
const runtimeFile = /^(ort\.(wasm|webgpu)\.bundle\.min\.mjs|ort-wasm-simd-threaded(\.asyncify)?\.(wasm|mjs))$/;

/**
 * Serves the page on 127.0.0.1. Only files that were there at the start are served, by their exact paths: no path leads out of the page.
 *
 * @throws {UsageError} `notBuilt` if the page is missing, `portTaken` if another program has the port.
 */
export async function serveStudio({
  port,
  runs,
  control = false,
  registry = builtIn,
  page = fileURLToPath(new URL("../studio/page/", import.meta.url)),
}: ServeOptions): Promise<StudioServer> {
  const files = filesOfPage(page);
  const live = runs === undefined ? undefined : liveView(new LiveRuns(runs, registry), control);
  const index = readFileSync(join(page, "index.html"), "utf8").replace(
    "</title>",
    `</title>${live ? '<meta name="live" content="live/">' : ""}`,
  );
  const server = createServer((request, response) => void answer({ files, index, live }, request, response));
  server.maxConnections = 64;
  server.headersTimeout = 10_000;
  server.requestTimeout = 10_000;
  server.keepAliveTimeout = 5_000;
  await listen(server, port);
  const { port: taken } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${taken}/`,
    close: () =>
      new Promise((resolve) => {
        live?.close();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const message = `The studio cannot listen on port ${port} (${error.code}). Choose another one: dblocks studio --port 0 takes any that is free.`;
      reject(new UsageError("portTaken", { port, code: error.code }, message, { cause: error }));
    });
    server.listen(port, "127.0.0.1", resolve);
  });
}

/** Files by the path of their address. */
function filesOfPage(page: string): ReadonlyMap<string, string> {
  if (!existsSync(join(page, "index.html"))) {
    const message = `The page of the studio is not built: ${page} has no index.html. In a checkout: npm run build:studio`;
    throw new UsageError("notBuilt", { page }, message);
  }
  const files = new Map<string, string>();
  for (const name of readdirSync(page, { recursive: true, encoding: "utf8" })) {
    const path = join(page, name);
    if (statSync(path).isFile()) files.set(`/${name.split(sep).join("/")}`, path);
  }
  files.delete("/index.html");
  const runtime = fileURLToPath(new URL("./", import.meta.resolve("onnxruntime-web/wasm")));
  for (const name of readdirSync(runtime)) if (runtimeFile.test(name)) files.set(`/ort/${name}`, join(runtime, name));
  return files;
}

interface Site {
  readonly files: ReadonlyMap<string, string>;
  readonly index: string;
  readonly live: Live | undefined;
}

async function answer({ files, index, live }: Site, request: IncomingMessage, response: ServerResponse): Promise<void> {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  const address = (request.url ?? "/").split(/[?#]/)[0]!;
  const path = files.get(address);
  const reading = request.method === "GET" || request.method === "HEAD";
  // A name that someone else's page resolves to this address must not make it read this one.
  if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(request.headers.host ?? ""))
    return refuse(response, 421, "This server answers to 127.0.0.1 and localhost only.");
  if (live !== undefined && address.startsWith("/live/")) {
    const refusal = await live.answer(request, response);
    return refusal && refuse(response, ...refusal);
  }
  if (!reading) return refuse(response.setHeader("Allow", "GET, HEAD"), 405, "This server is for reading only.");
  if (address === "/" || address === "/index.html") {
    response.setHeader("Content-Type", types[".html"]!).end(request.method === "HEAD" ? undefined : index);
    return;
  }
  if (path === undefined) return refuse(response, 404, "There is no such file.");
  response.setHeader("Content-Type", types[extname(path)] ?? "application/octet-stream");
  if (request.method === "HEAD") response.end();
  else pipeline(createReadStream(path), response, () => {});
}

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8" }).end(`${text}\n`);
}
