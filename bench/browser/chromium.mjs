// Chromium without a window, on a page that is served with the headers that threads need.
import { existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { chromium } from "playwright-core";
import { serveStudio } from "../../dist/node.js";

const types = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };

/** Serves a folder without a Content-Security-Policy: other libraries make code and workers from text. */
export async function serveFolder(folder) {
  const server = createServer(({ url }, response) => {
    const path = join(folder, normalize(new URL(url, "http://localhost").pathname.replace(/\/$/, "/index.html")));
    if (!existsSync(path) || !statSync(path).isFile()) return response.writeHead(404).end();
    response.setHeader("Content-Type", types[extname(path)] ?? "application/octet-stream");
    response.setHeader("Cross-Origin-Opener-Policy", "same-origin").setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    response.end(readFileSync(path));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => new Promise((resolve) => server.close(resolve)) };
}

/** The page of the studio. */
export function studio(page) {
  return serveStudio({ port: 0, page });
}

/** @param server of {@link serveFolder} or {@link studio}; it is closed with the page. */
export async function openPage(server, { hash = "" } = {}) {
  const executablePath = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/google-chrome"].find(existsSync);
  if (executablePath === undefined) throw new Error("There is no Chromium. Install one (apt install chromium), or name it: CHROMIUM=PATH");
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const tab = await browser.newPage();
  tab.on("pageerror", (error) => console.error(error));
  tab.setDefaultTimeout(600_000);
  await tab.goto(`${server.url}${hash}`);
  const close = async () => {
    await browser.close();
    await server.close();
  };
  return { browser, tab, close, version: `Chromium ${browser.version()}` };
}
