// Memory of the studio's tab while a vision transformer trains in it: npm run bench:tab [-- STEPS]
// The proportional share (Pss) of the processes that draw pages, twenty times a second; and what the page itself measures of its heaps, its
// worker's and WebAssembly's memory, early and at the end (Chromium takes a minute for each). Collectors run when they like, so the least of
// each window counts; it exits with 1 if that of the last window is more than 3 % above that of the second, or the page's own figure grew so.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openPage, studio } from "./chromium.mjs";

const steps = Number(process.argv[2] ?? 2000);
const [numBlocks, windows] = [3, 8];
const settings = `model=vit&numBlocks=${numBlocks}&steps=${Math.ceil(steps / numBlocks)}`;
const { browser, tab, close, version } = await openPage(await studio(fileURLToPath(new URL("../../dist/studio/page", import.meta.url))), {
  hash: `#train?${settings}`,
});
const session = await browser.newBrowserCDPSession();

async function drawingBytes() {
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  const shares = processInfo
    .filter(({ type }) => type === "renderer")
    .map(({ id }) => 1024 * Number(/^Pss: +(\d+)/m.exec(readFileSync(`/proc/${id}/smaps_rollup`, "utf8"))?.[1] ?? 0));
  return shares.reduce((sum, share) => sum + share, 0);
}

const numbers = async () => (await tab.locator(".unit .number").allTextContents()).map((text) => Number.parseInt(text, 10));
const stepsMade = async () => (await numbers()).reduce((sum, made) => sum + made, 0);
const megabytes = (bytes) => (bytes / 1e6).toFixed(1);

try {
  await tab.getByRole("button", { name: "Start", exact: true }).click();
  await tab.waitForSelector('[data-state="training"]');
  const measured = () => tab.evaluate("performance.measureUserAgentSpecificMemory().then(({ bytes }) => bytes)");
  const rows = [];
  let early;
  for (let window = 0; window < windows; window++) {
    let least = Number.POSITIVE_INFINITY;
    let made = await stepsMade();
    while (made < ((window + 1) * steps) / windows) {
      least = Math.min(least, await drawingBytes());
      await new Promise((resolve) => setTimeout(resolve, 50));
      made = await stepsMade();
    }
    rows.push(least);
    early ??= measured();
    console.log(`${made} steps: ${megabytes(least)} MB`);
  }
  const [atFirst, atEnd] = [await early, await measured()];
  const growths = [rows.at(-1) / rows[1] - 1, atEnd / atFirst - 1];
  const percents = growths.map((share) => `${(100 * share).toFixed(1)} %`);
  console.log(`${version}: from the second window to the last ${percents[0]}; the page measures ${megabytes(atFirst)} and ${megabytes(atEnd)} MB, ${percents[1]}`);
  if (growths.some((growth) => growth > 0.03)) process.exitCode = 1;
} finally {
  await close();
}
