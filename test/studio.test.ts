import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { encode } from "fast-png";
import { packTar, unpackTar } from "modern-tar";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type AttentionMap,
  argMax,
  decodeModel,
  fold,
  generateEmbedded,
  type ImageInfo,
  key,
  normals,
  type RunConfig,
  registry,
  type TrainedClassifier,
  testBatches,
} from "../src/index.ts";
import { evaluateRun, importRun, loadRun, openTrainedRun, trainRun } from "../src/runs/index.ts";
import { type StudioServer, serveStudio } from "../src/studio/index.ts";
import { accessibilityFaults, chromiumPath, layoutFaults, screens } from "./support/chromium.ts";
import { device } from "./support/devices.ts";

/** The studio as it is built, in a browser: what `dblocks studio` shows. */
const root = fileURLToPath(new URL("..", import.meta.url));
const built = join(root, "dist/studio/page");
const folder = mkdtempSync(join(tmpdir(), "dblocks-studio-"));
/** Small enough for a loaded machine: one layer for each block. */
const link = "model=vit&numLayers=3&width=32&batchSize=16&steps=50&learningRate=0.003";

let server: StudioServer;
beforeAll(async () => {
  await command("npx", ["vite", "build", "-c", "web/vite.config.ts"]); // of the library as it is now
  server = await serveStudio({ port: 0, page: built });
}, 120_000);
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

function command(name: string, words: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    spawn(name, words, { cwd: root, stdio: "ignore" }).on("exit", (code) =>
      code === 0 ? resolve() : reject(new Error(`${name} ${words.join(" ")}: ${code}`)),
    );
  });
}

test("the code of the page is less than 300 KB compressed, the runtime apart", () => {
  const assets = join(built, "assets");
  const sizes = readdirSync(assets).map((name) => gzipSync(readFileSync(join(assets, name))).length);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(300_000);
});

describe.skipIf(chromiumPath === undefined)("in Chromium; skipped where there is none", () => {
  let browser: Browser;
  let context: BrowserContext;
  const faults: string[] = [];
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: chromiumPath!, args: ["--no-sandbox"] });
    context = await browser.newContext({ acceptDownloads: true });
  });
  afterAll(async () => browser.close());

  async function openPage(hash: string): Promise<Page> {
    const page = await context.newPage();
    page.setDefaultTimeout(100_000);
    page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
    page.on("pageerror", (error) => faults.push(error.message));
    await page.goto(`${server.url}#${hash}`);
    return page;
  }
  const press = (page: Page, name: string): Promise<void> => page.getByRole("button", { name, exact: true }).first().click();
  const state = (page: Page, wanted: string): Promise<unknown> => page.waitForSelector(`[data-state="${wanted}"]`);

  /** The files of a kept run, as an export has them. */
  async function exported(page: Page, run: string, format: "run" | "onnx" | "safetensors" = "run"): Promise<ReadonlyMap<string, Buffer>> {
    await page.getByRole("link", { name: "Runs", exact: true }).click();
    await page.getByLabel("Export as").selectOption(format);
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("row", { name: run, exact: false }).first().getByRole("button", { name: "Export" }).click(),
    ]);
    const path = join(folder, download.suggestedFilename());
    await download.saveAs(path);
    const entries = await unpackTar(readFileSync(path));
    return new Map(entries.map(({ header, data }) => [header.name.slice(header.name.indexOf("/") + 1), Buffer.from(data!)]));
  }

  async function evaluated(page: Page): Promise<number> {
    await press(page, "Evaluate");
    return Number(await page.locator("[data-score]").getAttribute("data-score"));
  }

  test("a vision transformer, paused and reloaded, ends as if it had not been; Node evaluates it alike, and what Node began goes on here", {
    timeout: 240_000,
  }, async () => {
    // A run that nothing disturbs.
    const page = await openPage(`train?${link}`);
    await press(page, "Start");
    await state(page, "finished");
    const score = await evaluated(page);
    const whole = await exported(page, "vit-blocks");
    // The same, paused after some steps, and the page loaded anew.
    await page.getByRole("link", { name: "Train", exact: true }).click();
    await press(page, "New run");
    await press(page, "Start");
    await page.waitForFunction(() => /\b[1-9]\d*\/50/.test(document.querySelector("[data-run]")?.textContent ?? ""));
    await press(page, "Pause");
    await state(page, "paused");
    await page.reload();
    await state(page, "paused");
    await press(page, "One step");
    await state(page, "paused");
    await press(page, "Go on");
    await state(page, "finished");
    const resumed = await exported(page, "vit-blocks-2");
    for (const unit of ["block-0", "block-1", "block-2"]) {
      const name = `${unit}/step-000050.safetensors`;
      expect(Buffer.compare(resumed.get(name)!, whole.get(name)!)).toBe(0);
    }

    // Node evaluates what the browser trained.
    const copy = join(folder, "runs/vit");
    for (const [name, bytes] of whole) {
      mkdirSync(dirname(join(copy, name)), { recursive: true });
      writeFileSync(join(copy, name), bytes);
    }
    const run = await openTrainedRun(registry, copy);
    const evaluation = (await evaluateRun(run, { device: "wasm", seeds: 1 })) as { readonly mean: number };
    expect(Math.abs(100 * evaluation.mean - score)).toBeLessThan(0.25); // two of a thousand pictures

    // What Node began goes on here.
    const begun = join(folder, "runs/begun");
    const stop = new AbortController();
    let made = 0;
    const onStep = (): void => {
      if (++made === 9) stop.abort();
    };
    await trainRun({
      path: begun,
      config: { ...run.config, training: { ...run.config.training, maxSteps: 20 } },
      signal: stop.signal,
      onStep,
    });
    const names = readdirSync(begun, { recursive: true, encoding: "utf8" }).filter((name) => statSync(join(begun, name)).isFile());
    const bodies = names.map((name) => [name, readFileSync(join(begun, name))] as const);
    const archive = await packTar(bodies.map(([name, body]) => ({ header: { name: `begun/${name}`, size: body.length }, body })));
    await page.setInputFiles("input[type=file]", { name: "begun.tar", mimeType: "application/x-tar", buffer: Buffer.from(archive) });
    await page.getByText("begun.tar is kept as begun.").waitFor();
    await page.getByRole("row", { name: "begun" }).getByRole("button", { name: "Open" }).click();
    await state(page, "paused");
    expect(await page.locator(".unit .number").allTextContents()).toEqual(["3/20", "3/20", "3/20"]);
    await page.getByLabel("Learning rate").fill("0.001");
    await page.getByLabel("Learning rate").blur();
    await press(page, "Go on");
    await state(page, "finished");
    const files = await exported(page, "begun");
    expect(JSON.parse(String(files.get("config.json")))).toMatchObject({ training: { learningRate: 0.001, maxSteps: 20 } });
    expect(files.has("block-2/step-000020.safetensors")).toBe(true);

    // A file that is no run says so, and changes nothing.
    await page.getByRole("link", { name: "Runs", exact: true }).click();
    await page.setInputFiles("input[type=file]", {
      name: "broken.tar",
      mimeType: "application/x-tar",
      buffer: Buffer.from("not a tar archive"),
    });
    await page.getByRole("alert").getByText("broken.tar").waitFor();
    expect(await page.getByRole("row").count()).toBe(3);
    expect(faults).toEqual([]);
    await page.close();
  });

  test("what the page exports, Node evaluates alike, as safetensors and by ONNX Runtime alone; and the page takes it in again", {
    timeout: 240_000,
  }, async () => {
    const page = await openPage(`train?${link}`);
    await press(page, "Start");
    await state(page, "finished");
    const score = await evaluated(page);
    const run = (await page.locator("[data-run]").getAttribute("data-run"))!;
    const [weights, onnx] = [await exported(page, run, "safetensors"), await exported(page, run, "onnx")];
    expect([...onnx.keys()]).toEqual(["network.onnx", "block-0.onnx", "block-1.onnx", "block-2.onnx"]);

    // Node, from safetensors.
    const files = join(folder, "files");
    mkdirSync(files);
    for (const [name, bytes] of weights) writeFileSync(join(files, name), bytes);
    const out = join(folder, "runs/imported");
    await importRun({ registry, from: files, out });
    const evaluation = (await evaluateRun(await openTrainedRun(registry, out), { device: "wasm", seeds: 1 })) as { readonly mean: number };
    expect(Math.abs(100 * evaluation.mean - score)).toBeLessThan(0.25); // two of a thousand pictures

    // What a layer attends to is what it attends to in Node.
    await page.getByRole("link", { name: "See", exact: true }).click();
    await page.getByLabel("Unit").selectOption("block-1");
    await page.locator(".map").waitFor();
    await page.getByLabel("Head").selectOption("head 1");
    await page.locator(".map").focus();
    for (const key of ["ArrowRight", "ArrowRight", "ArrowDown"]) await page.keyboard.press(key);
    const note = (await page.locator(".attention .note").textContent())!;
    const maps: AttentionMap[] = [];
    const trained = await loadRun(out, { device: "wasm", batchSize: 1, onAttention: (_, layers) => maps.push(...layers) });
    const { images } = generateEmbedded().test;
    await (trained as TrainedClassifier).block(1).predict((images as Uint8Array).subarray(0, 3 * 32 * 32));
    await trained.dispose();
    const [, heads, tokens] = maps[0]!.shape;
    expect([maps.length, heads, tokens]).toEqual([1, 4, 2 + 16]); // a class token, a noisy label and 4 × 4 patches
    const shares = [...maps[0]!.data.subarray((tokens + 2 + 5) * tokens, (tokens + 2 + 6) * tokens)]; // head 1, of patch 2, 2
    const said = (token: number) => `${(100 * shares[token]!).toFixed(shares[token]! < 0.1 ? 1 : 0)} %`;
    expect(note).toContain("patch 2, 2 attends to ");
    expect(note).toContain(`class token ${said(0)}, noisy label ${said(1)} of it all`);
    expect(note).toContain(said(shares.indexOf(Math.max(...shares))));

    // ONNX Runtime, from the file: the noise of evaluations is its input.
    const { inputs, outputs, metadata } = decodeModel(onnx.get("network.onnx")!);
    const { config, info } = JSON.parse(`{"config":${metadata.config},"info":${metadata.info}}`) as {
      readonly config: RunConfig;
      readonly info: ImageInfo;
    };
    const { batchSize } = config.training;
    const width = Number(config.model.width);
    const sized = (specs: typeof inputs): typeof inputs => specs.map((spec) => ({ ...spec, shape: [batchSize, ...spec.shape.slice(1)] }));
    await using network = await (await device("cpu")).compile({
      bytes: onnx.get("network.onnx")!,
      inputs: sized(inputs),
      outputs: sized(outputs),
    });
    let [right, all, batch] = [0, 0, 0];
    for (const { images, labels, count } of testBatches(generateEmbedded().test, { batchSize, mean: info.mean, std: info.std })) {
      const noise = normals(fold(fold(fold(key(0), "evaluation"), batch++), "start"), batchSize * width);
      const { logits } = await network.run({ input: images, noise });
      const found = argMax(logits as Float32Array, info.numClasses);
      for (let i = 0; i < count; i++, all++) if (found[i] === labels[i]) right++;
    }
    expect([all, metadata.version]).toEqual([1000, expect.stringMatching(/^diffusion-blocks \d+\.\d+\.\d+, in a browser$/)]);
    expect(Math.abs((100 * right) / all - score)).toBeLessThan(0.25);

    // The page takes in both, bit for bit.
    const field = page.getByLabel("Import a run");
    const handed = (from: ReadonlyMap<string, Buffer>, names: readonly string[]) =>
      names.map((name) => ({ name, mimeType: "application/octet-stream", buffer: from.get(name)! }));
    for (const [one, row] of [
      [handed(weights, ["config.json", "data.json", "model.safetensors"]), "imported"],
      [handed(onnx, ["network.onnx"]), "imported-2"],
      [join(folder, `${run}-onnx.tar`), `${run}-onnx`],
    ] as const) {
      await page.getByRole("link", { name: "Runs", exact: true }).click();
      await field.setInputFiles(one);
      await page.getByText(new RegExp(`kept as ${row}\\.$`)).waitFor();
      const again = await exported(page, row, "safetensors");
      expect([row, again.get("model.safetensors")!.equals(weights.get("model.safetensors")!)]).toEqual([row, true]);
    }
    await page.getByRole("row", { name: "imported-2" }).getByRole("button", { name: "Open" }).click();
    await state(page, "paused");
    expect(await evaluated(page)).toBe(score);

    // What is missing is said, and nothing is kept.
    await page.getByRole("link", { name: "Runs", exact: true }).click();
    await page.getByRole("row", { name: "imported-2" }).waitFor();
    const rows = await page.getByRole("row").count();
    await field.setInputFiles(handed(weights, ["model.safetensors"]));
    await page.getByRole("alert").getByText("imported-3/config.json cannot be read").waitFor();
    await field.setInputFiles(handed(new Map([["network.onnx", onnx.get("block-0.onnx")!]]), ["network.onnx"]));
    await page.getByRole("alert").getByText("there is no tensor block-1").waitFor();
    expect(await page.getByRole("row").count()).toBe(rows);
    expect(faults).toEqual([]);
    await page.close();
  });

  test("a diffusion transformer trains on WASM with the loss falling, and what it draws walks down the blocks", {
    timeout: 240_000,
  }, async () => {
    const page = await openPage("train?model=dit&numLayers=3&width=32&batchSize=16&steps=50");
    await press(page, "Start");
    await state(page, "finished");
    const log = (await exported(page, "dit-blocks")).get("metrics.jsonl")!.toString().trim().split("\n");
    const records = log.map((line) => JSON.parse(line) as { unit: string; loss?: number }).filter(({ loss }) => loss !== undefined);
    const meanOf = (part: typeof records): number => part.reduce((sum, { loss }) => sum + loss!, 0) / part.length;
    expect(records).toHaveLength(30);
    expect(meanOf(records.slice(-9))).toBeLessThan(0.93 * meanOf(records.slice(0, 9)));

    await page.getByRole("link", { name: "See", exact: true }).click();
    await press(page, "Draw 8 pictures");
    await page.waitForSelector(".strip.large canvas");
    const slider = page.getByRole("slider", { name: "at work" });
    await slider.focus();
    const lit: (string | null)[] = [];
    for (const key of ["Home", "End"]) {
      await page.keyboard.press(key);
      lit.push(await page.locator(".block.lit").textContent());
    }
    expect(lit).toEqual(["block-0", "block-2"]);
    await page.getByLabel("Unit").selectOption("block-2");
    await page.locator(".map").waitFor();
    expect(await page.locator(".attention .note").textContent()).toMatch(
      /^At σ 0\.\d+: patch 1, 1 attends to (patch \d, \d \([\d.]+ %\)(, )?){3}\.$/,
    );
    expect(faults).toEqual([]);
    await page.close();
  });

  test("masked text trains, is evaluated, and is revealed from masks to words with the active block lit", {
    timeout: 200_000,
  }, async () => {
    const page = await openPage("train?model=masked-diffusion&numLayers=3&width=32&batchSize=16&steps=50&length=16");
    await press(page, "Start");
    await state(page, "finished");
    const bits = await evaluated(page);
    expect(bits).toBeLessThan(4.7); // log2 27 = 4.755
    await page.getByRole("link", { name: "See", exact: true }).click();
    await page.getByLabel("Begins with").fill("a king ");
    await press(page, "Write 4 texts");
    const texts = page.locator(".texts .symbols");
    await texts.first().waitFor();
    const seen: { readonly block: string | null; readonly text: string }[] = [];
    for (const key of ["Home", "End"]) {
      await page.getByRole("slider", { name: "at work" }).focus();
      await page.keyboard.press(key);
      seen.push({
        block: await page.locator(".block.lit").textContent(),
        text: (await texts.first().locator("[aria-hidden]").textContent()) ?? "",
      });
    }
    expect(seen.map(({ block }) => block)).toEqual(["block-0", "block-2"]);
    expect(seen[0]!.text).toMatch(/^a king [a-z ▒]{9}$/);
    expect(seen[0]!.text.split("▒").length).toBeGreaterThan(6);
    expect(seen[1]!.text).toMatch(/^a king [a-z ]{9}$/);
    await press(page, "Show attention");
    await page.locator(".heat .query").waitFor();
    expect(await page.locator(".heat span").count()).toBe(16);
    expect(await page.locator(".attention .note").textContent()).toMatch(/^At t 0\.83: .* 1 attends to (hidden symbol|“[a-z ]”) \d+ \(/);
    expect(faults).toEqual([]);
    await page.close();
  });

  test("data of one's own: a text, a folder of pictures, and files that are neither", { timeout: 200_000 }, async () => {
    const page = await openPage("train?model=vit&numLayers=3&width=32&batchSize=16&steps=6");
    const textField = page.getByLabel("A text file of yours");
    const folderField = page.getByLabel("A folder of pictures");
    // What is no text, and pictures of one class, are refused, and nothing changes.
    await textField.setInputFiles({ name: "broken.txt", mimeType: "text/plain", buffer: Buffer.from([0xff, 0xfe, 0x00]) });
    await page.getByRole("alert").getByText("broken.txt is no text in UTF-8").waitFor();
    const pictures = join(folder, "shapes");
    for (const [name, shade] of [
      ["dark", 40],
      ["light", 220],
    ] as const) {
      mkdirSync(join(pictures, name), { recursive: true });
      for (let i = 0; i < 20; i++) {
        const data = new Uint8Array(3 * 40 * 32).fill(shade + (i % 8));
        writeFileSync(join(pictures, name, `${i}.png`), encode({ width: 40, height: 32, channels: 3, data }));
      }
    }
    await folderField.setInputFiles(join(pictures, "dark"));
    await page.getByRole("alert").getByText("a folder for each class").waitFor();
    expect(await page.locator(".own select").inputValue()).toBe("embedded");
    // A damaged one among them is passed over and named.
    writeFileSync(join(pictures, "dark", "99.png"), "no picture");
    await folderField.setInputFiles(pictures);
    await page.getByText("36 pictures for training and 4 for tests, 2 classes").waitFor();
    await page.getByText("shapes/dark/99.png the first").waitFor();
    expect(await page.locator(".own select").inputValue()).toBe("shapes");
    await press(page, "Start");
    await state(page, "finished");
    await press(page, "Evaluate");
    await page.locator("[data-score]").waitFor();
    await page.reload(); // and it is there after a reload
    await state(page, "finished");
    await press(page, "New run");
    // IDX files, of which one is packed: without a test part, a tenth is held out. What is damaged is refused.
    const idxField = page.getByLabel("IDX files");
    const idx = (dimensions: readonly number[], values: Uint8Array): Buffer => {
      const header = Buffer.alloc(4 + 4 * dimensions.length);
      header.set([0, 0, 8, dimensions.length]);
      for (const [i, dimension] of dimensions.entries()) header.writeUInt32BE(dimension, 4 + 4 * i);
      return Buffer.concat([header, values]);
    };
    const images = idx(
      [40, 28, 28],
      Uint8Array.from({ length: 40 * 784 }, (_, i) => (Math.floor(i / 784) % 4) * 60),
    );
    const labels = idx(
      [40],
      Uint8Array.from({ length: 40 }, (_, i) => i % 4),
    );
    const handIdx = (packed: Buffer, plain: Buffer) =>
      idxField.setInputFiles([
        { name: "train-images-idx3-ubyte.gz", mimeType: "application/gzip", buffer: packed },
        { name: "train-labels-idx1-ubyte", mimeType: "application/octet-stream", buffer: plain },
      ]);
    for (const [packed, plain, fault] of [
      [gzipSync(images).subarray(0, 60), labels, "train-images-idx3-ubyte.gz cannot be unpacked"],
      [gzipSync(Buffer.concat([images, images])), labels, "train-images-idx3-ubyte.gz is too long"],
      [gzipSync(images), idx([39], new Uint8Array(39)), "has 40 images, train-labels-idx1-ubyte 39 labels"],
      [gzipSync(images), Buffer.from("no labels"), "train-labels-idx1-ubyte is no IDX file"],
    ] as const) {
      await handIdx(packed, plain);
      await page.getByRole("alert").getByText(fault).waitFor();
    }
    expect(await page.locator(".own select").inputValue()).toBe("shapes");
    await handIdx(gzipSync(images), labels);
    await page.getByText("36 pictures for training and 4 for tests, 4 classes, scaled to 32×32.").waitFor();
    expect(await page.locator(".own select").inputValue()).toBe("idx");
    await press(page, "Start");
    await state(page, "finished");
    await press(page, "Evaluate");
    await page.locator("[data-score]").waitFor();
    await press(page, "New run");
    // A text takes the page to the model of text.
    await textField.setInputFiles({
      name: "My book.txt",
      mimeType: "text/plain",
      buffer: Buffer.from("It was a dark night. ".repeat(400)),
    });
    await page.getByText("My book.txt: 8400 bytes of text.").waitFor();
    expect(await page.getByLabel("Network").inputValue()).toBe("masked-diffusion");
    for (const [label, value] of [
      ["Width", "32"],
      ["Steps of each block", "50"],
    ] as const)
      await page.getByLabel(label).selectOption(value);
    await press(page, "Start");
    await state(page, "finished");
    const files = await exported(page, (await page.locator("[data-run]").getAttribute("data-run"))!);
    expect(JSON.parse(String(files.get("config.json")))).toMatchObject({ data: { path: "My-book", name: "My-book", tokenizer: "auto" } });
    expect(faults).toEqual([]);
    await page.close();
  });

  test.each(screens)(
    "nothing is covered, and nothing is missing for a screen reader: $width pixels, $colorScheme",
    {
      timeout: 100_000,
    },
    async ({ width, height, colorScheme }) => {
      const screen = await browser.newContext({ viewport: { width, height }, colorScheme, reducedMotion: "reduce" });
      const page = await screen.newPage();
      page.setDefaultTimeout(60_000);
      await page.goto(`${server.url}#train?${link}`);
      await page.locator(".memory svg").first().waitFor();
      await press(page, "Start");
      await page.waitForFunction(() => document.querySelector(".charts .uplot") !== null);
      await press(page, "Pause");
      await state(page, "paused");
      for (const name of ["Train", "Explain", "See", "Runs"]) {
        await page.getByRole("link", { name, exact: true }).click();
        await page.getByRole("heading", { level: 2 }).waitFor();
        if (name === "See") {
          await press(page, "Show attention");
          await page.locator(".map").waitFor();
        }
        expect([name, await layoutFaults(page), await accessibilityFaults(page)]).toEqual([name, [], []]);
      }
      await screen.close();
    },
  );

  test("the live view follows a run that another process trains, and stops it", { timeout: 120_000 }, async () => {
    const runs = join(folder, "live");
    mkdirSync(runs);
    const live = await serveStudio({ port: 0, page: built, runs, control: true });
    const words =
      "train vit --width 16 --heads 2 --layers 3 --patch 16 --batch 8 --max-steps 100000 --epochs 1000 --device wasm --threads 1";
    const cli = join(root, "dist/cli/main.js");
    const child = spawn(process.execPath, [cli, ...words.split(" "), "--schedule", "interleaved", "--run", join(runs, "vit")], {
      stdio: "ignore",
    });
    const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
    try {
      const page = await context.newPage();
      page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
      page.on("pageerror", (error) => faults.push(error.message));
      page.setDefaultTimeout(60_000);
      await page.goto(`${live.url}#live`);
      await page.locator(".state.running").waitFor();
      const step = async (): Promise<number> => Number.parseInt((await page.locator(".unit .number").first().textContent()) ?? "", 10);
      const first = await step();
      await expect.poll(step, { timeout: 30_000 }).toBeGreaterThan(first);
      await page.locator("figure .uplot").waitFor();
      await press(page, "Stop");
      expect(await ended).toBe(143);
      await page.locator(".state.stopped").waitFor();
      expect(faults).toEqual([]);
      await page.close();
    } finally {
      child.kill("SIGKILL");
      await live.close();
    }
  });
});
