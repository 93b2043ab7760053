import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { chromium } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { chromiumPath } from "./support/chromium.ts";

/** The first door in a browser: bundled as a user bundles it, and run. */
const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "dblocks-browser-"));
const site = join(folder, "site");
/** What the bundler complained about: a module of Node that was left out, an unresolved import. */
const complaints: string[] = [];

beforeAll(async () => {
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(root, join(folder, "node_modules", "diffusion-blocks"));
  cpSync(join(root, "test/browser/page.ts"), join(folder, "page.ts"));
  writeFileSync(join(folder, "index.html"), '<!doctype html><title>training</title><script type="module" src="./page.ts"></script>');
  const complain = (message: string): void => void complaints.push(message);
  await build({
    root: folder,
    configFile: false,
    base: "./",
    build: { outDir: site, target: "esnext", chunkSizeWarningLimit: 4000, reportCompressedSize: false },
    customLogger: {
      info: () => {},
      warn: complain,
      warnOnce: complain,
      error: complain,
      clearScreen: () => {},
      hasErrorLogged: () => false,
      hasWarned: false,
    },
  });
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the first door is bundled for a browser without modules of Node and without polyfills", (context) => {
  const scripts = readdirSync(join(site, "assets")).filter((name) => /\.m?js$/.test(name));
  const texts = scripts.map((name) => readFileSync(join(site, "assets", name), "utf8"));
  const sizes = texts.map((text) => gzipSync(text).length);
  expect(complaints).toEqual([]);
  // ONNX Runtime brings guarded imports of its own, which a browser never reaches.
  const own = texts.filter((text) => !text.includes("ort-wasm"));
  for (const text of own) expect(text).not.toMatch(/(?:from|import)\s*\(?\s*["']node:|__vite-browser-external/);
  expect(Math.max(...sizes)).toBeLessThan(600_000);
  context.annotate?.(`scripts, gzipped: ${scripts.map((name, i) => `${name} ${(sizes[i]! / 1024).toFixed(0)} KiB`).join(", ")}`);
});

const types: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

function serve(isolated: boolean): Promise<Server> {
  const server = createServer(({ url }, response) => {
    const path = join(site, new URL(url!, "http://localhost").pathname.replace(/\/$/, "/index.html"));
    if (!existsSync(path) || !statSync(path).isFile()) return void response.writeHead(404).end();
    response.setHeader("Content-Type", types[extname(path)] ?? "application/octet-stream");
    if (isolated) response.setHeader("Cross-Origin-Opener-Policy", "same-origin").setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    response.end(readFileSync(path));
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

interface Outcome {
  readonly error?: string;
  readonly losses: Readonly<Record<string, readonly number[]>>;
  readonly first: number;
  readonly sum: number;
  readonly device: string;
  readonly threads: number;
}

test.skipIf(chromiumPath === undefined).each([true, false])(
  "a vision transformer trains in three blocks in Chromium (cross-origin isolated: %s); skipped where there is no Chromium",
  { timeout: 120_000 },
  async (isolated) => {
    const server = await serve(isolated);
    const browser = await chromium.launch({ executablePath: chromiumPath!, args: ["--no-sandbox"] });
    try {
      const page = await browser.newPage();
      const faults: string[] = [];
      page.on("pageerror", (error) => faults.push(error.message));
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
      await page.waitForFunction("globalThis.result !== undefined");
      const outcome: Outcome = await page.evaluate("globalThis.result");
      expect([outcome.error, faults]).toEqual([undefined, []]);
      expect(Object.keys(outcome.losses)).toEqual(["block-0", "block-1", "block-2"]);
      for (const losses of Object.values(outcome.losses)) {
        expect(losses).toHaveLength(20);
        const mean = (part: readonly number[]): number => part.reduce((a, b) => a + b, 0) / part.length;
        expect(mean(losses.slice(-5))).toBeLessThan(mean(losses.slice(0, 5)));
      }
      expect(outcome.first).toBe(outcome.losses["block-1"]![0]);
      expect(outcome.sum).toBeCloseTo(1, 4);
      expect(outcome.device).toBe("wasm");
      if (!isolated) expect(outcome.threads).toBe(1);
    } finally {
      await browser.close();
      server.close();
    }
  },
);
