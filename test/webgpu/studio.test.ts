import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type StudioServer, serveStudio } from "../../src/studio/index.ts";
import { chromiumPath } from "../support/chromium.ts";

/** The studio on WebGPU, by Chromium's adapter in software: a second and more for a step, so these tests are no part of `npm test`. */
const root = fileURLToPath(new URL("../..", import.meta.url));
const flags = [
  "--no-sandbox",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--enable-features=Vulkan",
  "--use-vulkan=swiftshader",
];

describe.skipIf(chromiumPath === undefined)("in Chromium; skipped where there is none", () => {
  let server: StudioServer;
  let browser: Browser;
  beforeAll(async () => {
    spawnSync("npx", ["vite", "build", "-c", "web/vite.config.ts"], { cwd: root });
    server = await serveStudio({ port: 0, page: `${root}dist/studio/page` });
    browser = await chromium.launch({ executablePath: chromiumPath!, args: flags });
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  /** Losses in the log of a run that was trained in the page. */
  async function lossesOn(backend: "wasm" | "webgpu", settings: string): Promise<readonly number[]> {
    const page: Page = await (await browser.newContext({ acceptDownloads: true })).newPage();
    page.setDefaultTimeout(240_000);
    await page.goto(`${server.url}#train?${settings}&backend=${backend}`);
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.waitForSelector('[data-state="finished"]');
    expect(await page.getByRole("alert").allTextContents()).toEqual([]);
    const log = await page.evaluate(async () => {
      const runs = await (await navigator.storage.getDirectory()).getDirectoryHandle("runs");
      for await (const folder of runs.values()) {
        const file = await (await (folder as FileSystemDirectoryHandle).getFileHandle("metrics.jsonl")).getFile();
        return file.text();
      }
      return "";
    });
    await page.context().close();
    const records = log
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { readonly loss?: number });
    return records.flatMap(({ loss }) => loss ?? []);
  }

  test.each([
    "model=vit&numLayers=3&width=32&batchSize=8&steps=2",
    "model=dit&numLayers=3&width=32&batchSize=8&steps=2",
    "model=masked-diffusion&numLayers=3&width=32&batchSize=8&steps=2&length=16",
  ])("%s trains on WebGPU as on WASM", { timeout: 500_000 }, async (settings) => {
    if (!(await hasAdapter())) return expect(browser.version()).toMatch(/^\d/); // this browser was built without one
    const [expected, given] = [await lossesOn("wasm", settings), await lossesOn("webgpu", settings)];
    expect(given).toHaveLength(expected.length);
    expect(expected.length).toBeGreaterThanOrEqual(3);
    for (const [i, loss] of expected.entries()) expect(Math.abs(given[i]! - loss) / loss).toBeLessThan(2e-3);
  });

  async function hasAdapter(): Promise<boolean> {
    const page = await browser.newPage();
    await page.goto(server.url);
    const found = await page.evaluate(async () => (await navigator.gpu?.requestAdapter()) != null);
    await page.close();
    return found;
  }
});
