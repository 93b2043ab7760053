import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { folder, main, train, trainArgs } from "../support/cli.ts";

/** Namespaces of mounts, processes and names, as two machines have them: only root may make them, and not in every container. */
const namespaces = ["--mount", "--pid", "--fork", "--uts", "--mount-proc", "sh", "-c"];
const canSeparate = process.platform === "linux" && spawnSync("unshare", [...namespaces, "hostname host-probe"]).status === 0;
if (!canSeparate) console.log("two hosts: skipped, unshare is not there or not allowed");

/** A clock that is off by so many hours. */
const clock = join(folder, "clock.mjs");
writeFileSync(clock, "const now = Date.now; const off = 3.6e6 * Number(process.env.CLOCK_HOURS); Date.now = () => now() + off;\n");

interface Host {
  readonly ended: Promise<{ readonly code: number | null; readonly stderr: string }>;
  /** To all processes of the host. */
  signal(name: "SIGSTOP" | "SIGCONT"): void;
}

/** The command line on a host of its own: its process has the same id there as on every other. */
function onHost(name: string, hours: number, words: readonly string[]): Host {
  const script = `hostname ${name}; exec "$@"`;
  const child = spawn("unshare", [...namespaces, script, name, process.execPath, `--import=${clock}`, main, ...words], {
    env: { ...process.env, CLOCK_HOURS: String(hours) },
    stdio: ["ignore", "ignore", "pipe"],
    detached: true,
  });
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr += String(chunk);
  });
  return {
    ended: new Promise((resolve) => child.once("close", (code) => resolve({ code, stderr }))),
    signal: (one) => process.kill(-child.pid!, one),
  };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

const ownerOf = (run: string): { pid: number; host: string; token: number } =>
  JSON.parse(readFileSync(join(folder, run, "block-0", "owner.json"), "utf8"));

const lastOf = (run: string, block: string): string => {
  const name = readdirSync(join(folder, run, block))
    .filter((file) => file.startsWith("step-"))
    .sort()
    .at(-1)!;
  return `${name} ${readFileSync(join(folder, run, block, name)).toString("base64")}`;
};

test.skipIf(!canSeparate).each([
  ["behind", -1],
  ["ahead", 1],
])("two hosts, one folder, the newer one's clock an hour %s: the older writer stops with 76, and nothing is lost", async (where, hours) => {
  const run = `hosts-${where}`;
  const more = ["--epochs", "1", "--save-every", "1", "--log-every", "1", "--evaluate-every", "0"];
  const words = trainArgs(run, ...more);
  const older = onHost("host-a", 0, words);
  await until(() => existsSync(join(folder, run, "block-0", "step-000003.safetensors")));
  older.signal("SIGSTOP"); // out of reach, as it seems
  const first = ownerOf(run);
  const newer = onHost("host-b", hours, words);
  await until(() => ownerOf(run).host === "host-b");
  older.signal("SIGCONT");
  expect(await older.ended).toMatchObject({ code: 76, stderr: expect.stringMatching(/host-b/) });
  expect((await newer.ended).code).toBe(0);
  const second = ownerOf(run);
  expect([second.host, second.pid, second.token]).toEqual(["host-b", first.pid, first.token + 1]);
  expect((await train(`${run}-alone`, ...more)).code).toBe(0);
  for (const block of ["block-0", "block-1", "block-2"]) expect(lastOf(run, block)).toBe(lastOf(`${run}-alone`, block));
});
