// Memory of the studio's tab while a vision transformer trains in it: npm run bench:tab [-- STEPS]
// At each eighth of the steps garbage is collected in the page and in its workers; what is left of their heaps and buffers (WebAssembly's memory
// is one) is summed, and so is the proportional share (Pss) of the processes that draw pages. It exits with 1 if heaps and buffers, or the
// processes, have 3 % more at the end than at the second reading.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openPage, studio } from "./chromium.mjs";

const steps = Number(process.argv[2] ?? 2000);
const [numBlocks, readings] = [3, 8];
const settings = `model=vit&numBlocks=${numBlocks}&steps=${Math.ceil(steps / numBlocks)}`;
const page = await studio(fileURLToPath(new URL("../../dist/studio/page", import.meta.url)));
const { browser, tab, close, version } = await openPage(page, { hash: `#train?${settings}` });

/** Calls of the debugger in the page and in each of its workers. */
async function isolates() {
  const session = await tab.context().newCDPSession(tab);
  const waiting = new Map();
  const workers = [];
  let id = 0;
  session.on("Target.attachedToTarget", ({ sessionId }) => workers.push(sessionId));
  session.on("Target.receivedMessageFromTarget", ({ message }) => {
    const { id: answered, result } = JSON.parse(message);
    waiting.get(answered)?.(result);
  });
  await session.send("Target.setAutoAttach", { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
  const toWorker = (sessionId) => (method) =>
    new Promise((resolve) => {
      waiting.set(++id, resolve);
      session.send("Target.sendMessageToTarget", { sessionId, message: JSON.stringify({ id, method }) });
    });
  return () => [(method) => session.send(method), ...workers.map(toWorker)];
}

async function heapBytes(calls) {
  let sum = 0;
  for (const call of calls) {
    await call("HeapProfiler.collectGarbage");
    const { usedSize, embedderHeapUsedSize, backingStorageSize } = await call("Runtime.getHeapUsage");
    sum += usedSize + embedderHeapUsedSize + backingStorageSize;
  }
  return sum;
}

async function processBytes() {
  const { processInfo } = await (await browser.newBrowserCDPSession()).send("SystemInfo.getProcessInfo");
  const shares = processInfo
    .filter(({ type }) => type === "renderer")
    .map(({ id }) => 1024 * Number(/^Pss: +(\d+)/m.exec(readFileSync(`/proc/${id}/smaps_rollup`, "utf8"))?.[1] ?? 0));
  return shares.reduce((sum, share) => sum + share, 0);
}

async function stepsMade() {
  const texts = await tab.locator(".unit .number").allTextContents();
  return texts.reduce((sum, text) => sum + Number.parseInt(text, 10), 0);
}

const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
try {
  const calls = await isolates();
  await tab.getByRole("button", { name: "Start", exact: true }).click();
  await tab.waitForSelector('[data-state="training"]');
  const found = [];
  for (let reading = 1; reading <= readings; reading++) {
    let made = await stepsMade();
    for (; made < (reading * steps) / readings; made = await stepsMade()) await new Promise((resolve) => setTimeout(resolve, 100));
    const [heaps, processes] = [await heapBytes(calls()), await processBytes()];
    found.push({ heaps, processes });
    console.log(`${made} steps: ${megabytes(heaps)} MB in heaps and buffers, ${megabytes(processes)} MB of the processes`);
  }
  const growth = (of) => found.at(-1)[of] / found[1][of] - 1;
  const percent = (of) => `${(100 * growth(of)).toFixed(1)} %`;
  console.log(`${version}: from the second reading to the last ${percent("heaps")} and ${percent("processes")}`);
  if (growth("heaps") > 0.03 || growth("processes") > 0.03) process.exitCode = 1;
} finally {
  await close();
}
