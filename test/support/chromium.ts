import { existsSync } from "node:fs";
import axe from "axe-core";
import type { Page } from "playwright-core";

/** A browser of this machine, undefined where there is none: tests that need it are skipped. */
export const chromiumPath: string | undefined = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
].find((path) => path !== undefined && existsSync(path));

/** What is missing for people who use a keyboard, a screen reader, or other colours: the serious findings of axe-core, each with its place. */
export async function accessibilityFaults(page: Page): Promise<readonly string[]> {
  await page.evaluate(`${axe.source}; 0`); // not as an element of the page, whose policy would refuse it
  const violations = (await page.evaluate("axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations)")) as {
    readonly id: string;
    readonly impact: string | null;
    readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
  }[];
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`));
}

/** Text and controls that cover each other or leave the screen, in words. */
export function layoutFaults(page: Page): Promise<readonly string[]> {
  return page.evaluate(() => {
    const faults: string[] = [];
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) faults.push(`the page is ${scrollWidth} wide on a screen of ${clientWidth}`);
    const shown = [...document.querySelectorAll("button, input, select, h1, h2, h3, p, figcaption, th, td, output, .name, nav a")]
      .map((element) => ({ element, box: element.getBoundingClientRect() }))
      .filter(({ element, box }) => box.width > 1 && box.height > 1 && element.checkVisibility({ opacityProperty: true }));
    const nameOf = (element: Element): string => `<${element.tagName.toLowerCase()}> ${element.textContent?.trim().slice(0, 40)}`;
    for (const [i, a] of shown.entries())
      for (const b of shown.slice(i + 1)) {
        if (a.element.contains(b.element) || b.element.contains(a.element)) continue;
        const width = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
        const height = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
        if (width > 2 && height > 2) faults.push(`${nameOf(a.element)} and ${nameOf(b.element)} cover each other`);
      }
    return faults;
  });
}

/** Screens that pages are looked at on. */
export const screens: readonly { readonly width: number; readonly height: number; readonly colorScheme: "light" | "dark" }[] = [
  { width: 360, height: 740, colorScheme: "dark" },
  { width: 768, height: 1024, colorScheme: "light" },
  { width: 1440, height: 900, colorScheme: "dark" },
];
