import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as first from "../src/index.ts";
import * as second from "../src/node.ts";
import { accessibilityFaults, chromiumPath, layoutFaults, screens } from "./support/chromium.ts";

/** The site of documentation, built of the package as it is; the builder itself refuses links and files that lead nowhere. */
const folder = mkdtempSync(join(tmpdir(), "dblocks-docs-"));
const script = (name: string): string => fileURLToPath(new URL(`../scripts/docs/${name}`, import.meta.url));
const page = (name: string): string => readFileSync(join(folder, `${name}.html`), "utf8");
let names: readonly string[];

beforeAll(async () => {
  const { buildSite } = (await import(script("build.mjs"))) as { buildSite(target: string): Promise<readonly string[]> };
  names = await buildSite(folder);
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("every name that a door exports is in its reference", () => {
  for (const [door, name] of [
    [first, "api"],
    [second, "api-node"],
  ] as const) {
    const html = page(name);
    const isThere = (key: string): boolean => html.includes(`">${key} <a class`) || html.includes(`">${key}.`); // a space of names
    expect(Object.keys(door).filter((key) => !isThere(key))).toEqual([]);
  }
});

test("every model has a page with each of its options and its true default", () => {
  for (const model of first.registry.models) {
    const html = page(`model-${model.name}`);
    for (const method of first.registry.methodsFor(model)) {
      expect(html).toContain(`--method ${method.name}`);
      const flags = first.flagsOf(first.configSchema(first.registry, model.name, method.name));
      for (const { flag, path, section } of flags)
        if (section !== "method" || method.name === first.defaultMethod(model)) {
          expect(html).toContain(`<code>--${flag}</code>`);
          expect(html).toContain(`<code>${path}</code>`);
        }
    }
  }
  expect(page("model-vit")).toMatch(/--patch<\/code><\/td><td>side of a patch<\/td><td><code>4</);
});

test("errors are listed with what they say", () => {
  const html = page("errors");
  for (const code of ["noModel", "noConfigFile", "fenced", "runtimeMissing"]) expect(html).toContain(`<code>${code}</code>`);
  expect(html).toContain("expected is PATH=VALUE, e.g. training.floor=0.1");
});

test("pages load nothing from elsewhere, so that the site works without a network and below any folder", () => {
  for (const name of names) {
    const sources = [...page(name).matchAll(/<(?:script|link|img)[^>]*(?:src|href)="([^"]*)"/g)].map(([, source]) => source);
    expect(sources.filter((source) => !source!.startsWith("files/"))).toEqual([]);
  }
});

test("headings of one name have anchors of their own", async () => {
  const { htmlOf } = (await import(script("render.mjs"))) as {
    htmlOf(
      markdown: string,
      linkTo: (href: string) => string | undefined,
    ): { readonly html: string; readonly anchors: ReadonlySet<string> };
  };
  const { html, anchors } = htmlOf("# A *b*\n\n## A b\n\n[x](y) & <z>\n", (href) => `${href}.html`);
  expect([...anchors]).toEqual(["a-b", "a-b-1"]);
  expect(html).toContain('<a href="y.html">x</a>');
});

test.skipIf(chromiumPath === undefined)(
  "pages fit every screen and are whole for a screen reader; skipped where there is no Chromium",
  { timeout: 100_000 },
  async () => {
    const browser = await chromium.launch({ executablePath: chromiumPath!, args: ["--no-sandbox"] });
    try {
      // What these checks find in a page that has it.
      const bad = await browser.newPage({ viewport: { width: 360, height: 740 } });
      await bad.setContent(
        '<title>t</title><p style="width: 500px; margin: 0">x</p><button style="position: absolute; top: 8px; left: 8px; width: 20px; height: 20px"></button>',
      );
      expect((await accessibilityFaults(bad)).join()).toContain("button-name");
      expect((await layoutFaults(bad)).join()).toMatch(/the page is \d+ wide on a screen of 360.*cover each other/);
      for (const screen of screens) {
        const { width, height, colorScheme } = screen;
        const page = await (await browser.newContext({ viewport: { width, height }, colorScheme })).newPage();
        for (const name of ["concepts", "model-vit", "errors"]) {
          await page.goto(`file://${join(folder, `${name}.html`)}`);
          expect([name, await layoutFaults(page), await accessibilityFaults(page)]).toEqual([name, [], []]);
        }
      }
    } finally {
      await browser.close();
    }
  },
);
