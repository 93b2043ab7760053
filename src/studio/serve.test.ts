import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { request as send } from "node:http";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseRunConfig } from "../define/index.ts";
import { registry } from "../registry/index.ts";
import { type StudioServer, serveStudio } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "dblocks-serve-"));
const [page, runs] = [join(folder, "page"), join(folder, "runs")];
let [reader, controller]: StudioServer[] = [];

beforeAll(async () => {
  mkdirSync(join(page, "assets"), { recursive: true });
  mkdirSync(join(runs, "vit/block-0"), { recursive: true });
  mkdirSync(join(runs, "damaged"));
  writeFileSync(join(page, "index.html"), "<title>studio</title>");
  writeFileSync(join(page, "assets/a.js"), "1");
  writeFileSync(join(folder, "secret.txt"), "secret");
  writeFileSync(join(runs, "secret.txt"), "secret");
  symlinkSync(folder, join(runs, "out"));
  const config = parseRunConfig(registry, [{ model: { name: "vit", width: 16, numHeads: 2, numLayers: 3 }, training: { maxSteps: 20 } }]);
  const info = {
    name: "embedded",
    channels: 3,
    height: 32,
    width: 32,
    numClasses: 10,
    classNames: [],
    mean: [0],
    std: [1],
    isLatent: false,
  };
  writeFileSync(join(runs, "vit/config.json"), JSON.stringify(config));
  writeFileSync(join(runs, "vit/data.json"), JSON.stringify(info));
  writeFileSync(join(runs, "vit/schedule.json"), JSON.stringify({ steps: 20, stepsPerEpoch: 10 }));
  writeFileSync(join(runs, "vit/metrics.jsonl"), '{"unit":"block-0","step":5,"time":1,"loss":2.5}\n');
  writeFileSync(join(runs, "damaged/config.json"), "{");
  reader = await serveStudio({ port: 0, page, runs });
  controller = await serveStudio({ port: 0, page, runs, control: true });
});
afterAll(async () => {
  await reader!.close();
  await controller!.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** A request whose path is sent as it is written: `fetch` would tidy it up. */
function ask(server: StudioServer, path: string, { method = "GET", headers = {}, body = "" } = {}): Promise<Answer> {
  const { hostname: host, port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const request = send({ host, port, path, method, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => {
        text += piece;
        if (response.headers["content-type"]?.startsWith("text/event-stream") && text.includes("\n\n")) request.destroy();
      });
      response.on("close", () => resolve({ status: response.statusCode!, text, headers: response.headers }));
    });
    request.on("error", (error) => (request.destroyed ? undefined : reject(error)));
    request.end(body);
  });
}
const own = (server: StudioServer) => ({ Origin: server.url.slice(0, -1), "X-Studio": "stop" });

test("the page is served, with the headers that threads and a strict policy need", async () => {
  const { status, text, headers } = await ask(reader!, "/");
  expect([status, text]).toEqual([200, '<title>studio</title><meta name="live" content="live/">']);
  expect(headers["content-security-policy"]).toMatch(/^default-src 'none'; script-src 'self' 'wasm-unsafe-eval';/);
  expect([headers["cross-origin-opener-policy"], headers["cross-origin-embedder-policy"]]).toEqual(["same-origin", "require-corp"]);
  expect((await ask(reader!, "/assets/a.js")).text).toBe("1");
  expect((await ask(reader!, "/ort/ort.wasm.bundle.min.mjs")).status).toBe(200);
});

test.each([
  "/../secret.txt",
  "/assets/../../secret.txt",
  "/%2e%2e/secret.txt",
  "/..%2fsecret.txt",
  "/assets/..%5c..%5csecret.txt",
  "//etc/passwd",
  "/ort/../package.json",
  "/ort/ort.js",
  "/live/run/../secret.txt",
  "/live/run/..%2f..%2fsecret.txt",
  "/live/run/%2fetc",
  "/live/run/out",
  "/live/run/secret.txt",
  "/live/run/vit%00",
  "/live/run/__proto__",
  "/live/report/..%2fsecret.txt",
  "/live/report/vit",
  "/live/nothing",
])("%s leads nowhere", async (path) => {
  const { status, text } = await ask(reader!, path);
  expect(status).toBe(404);
  expect(text).not.toContain("secret\n");
});

test("an address that is not written as addresses are is refused", async () => {
  expect((await ask(reader!, "/live/run/%zz")).status).toBe(400);
});

test("other names of this machine, as pages of others could make, are not answered", async () => {
  for (const host of ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example"])
    expect((await ask(reader!, "/live/runs", { headers: { Host: host } })).status).toBe(421);
});

test.each(["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])("%s changes nothing where things are read", async (method) => {
  expect((await ask(reader!, "/", { method })).status).toBe(405);
  if (method === "POST") expect((await ask(reader!, "/live/runs", { method })).status).toBe(405);
});

test("runs are listed with their state; one that is damaged says so", async () => {
  const { runs: listed, control } = JSON.parse((await ask(reader!, "/live/runs")).text);
  expect(control).toBe(false);
  expect(listed.map((run: { name: string; state: string }) => [run.name, run.state])).toEqual([
    ["damaged", "damaged"],
    ["vit", "not started"],
  ]);
  const { records } = JSON.parse((await ask(reader!, "/live/run/vit")).text);
  expect(records).toEqual([{ unit: "block-0", step: 5, time: 1, values: { loss: 2.5 } }]);
  expect((await ask(reader!, "/live/events")).text).toMatch(/^(: listening|event: runs)/);
});

describe("stopping a run", () => {
  test("is refused without --control, by GET, from another origin, without the header, and with a body", async () => {
    const stop = (server: StudioServer, options: { method?: string; headers?: Record<string, string>; body?: string }) =>
      ask(server, "/live/stop/vit", { method: "POST", ...options }).then(({ status }) => status);
    expect(await stop(reader!, { headers: own(reader!) })).toBe(403);
    expect(await stop(controller!, { method: "GET", headers: own(controller!) })).toBe(405);
    expect(await stop(controller!, { headers: { ...own(controller!), Origin: "http://evil.example" } })).toBe(403);
    expect(await stop(controller!, { headers: { ...own(controller!), Origin: reader!.url.slice(0, -1) } })).toBe(403);
    expect(await stop(controller!, { headers: { Origin: controller!.url.slice(0, -1) } })).toBe(403);
    expect(await stop(controller!, { headers: { ...own(controller!), "Content-Length": "5" }, body: "12345" })).toBe(413);
  });

  test("asks the process that trains it, and says where there is none", async () => {
    const told: NodeJS.Signals[] = [];
    const listener = (signal: NodeJS.Signals): void => void told.push(signal);
    expect((await ask(controller!, "/live/stop/vit", { method: "POST", headers: own(controller!) })).status).toBe(409);
    process.on("SIGTERM", listener);
    try {
      const owner = { id: "x", token: 1, job: null, restartCount: 0, host: hostname(), pid: process.pid, since: "" };
      writeFileSync(join(runs, "vit/block-0/owner.json"), JSON.stringify(owner));
      const { status, text } = await ask(controller!, "/live/stop/vit", { method: "POST", headers: own(controller!) });
      expect([status, JSON.parse(text)]).toEqual([200, { asked: 1 }]);
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(told).toEqual(["SIGTERM"]);
    } finally {
      process.off("SIGTERM", listener);
    }
  });
});

test("no more pages than a few are told of changes", async () => {
  const { port } = new URL(reader!.url);
  const open = Array.from({ length: 16 }, () => send({ host: "127.0.0.1", port, path: "/live/events" }));
  await Promise.all(
    open.map(
      (request) =>
        new Promise((resolve) =>
          request
            .on("response", resolve)
            .on("error", () => {})
            .end(),
        ),
    ),
  );
  expect((await ask(reader!, "/live/events")).status).toBe(503);
  for (const request of open) request.destroy();
});

test("a page that is not built, and a folder that is not there, say what to do", async () => {
  await expect(serveStudio({ port: 0, page: folder })).rejects.toMatchObject({ code: "notBuilt" });
  await expect(serveStudio({ port: 0, page, runs: join(folder, "none") })).rejects.toMatchObject({ code: "noRuns" });
  await expect(serveStudio({ port: Number(new URL(reader!.url).port), page })).rejects.toMatchObject({ code: "portTaken" });
});
