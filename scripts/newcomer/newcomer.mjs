// What a newcomer does: installs the packed package into an empty folder, checks that the native runtime is there,
// runs the README's first program as it is printed, compiles its TypeScript strictly, without Node's types and
// without skipping declarations, and types every command of README and GUIDE, on short data and for two updates. What these show of
// an output is compared with it line by line: outputs.mjs says how.
// Run: node scripts/newcomer/newcomer.mjs (needs the registry)
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { commandsOf, promiseOf, shortened } from "./commands.mjs";
import { writeMaterial } from "./material.mjs";
import { differenceOf, outputsOf } from "./outputs.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "dblocks-newcomer-"));
const shell = process.platform === "win32";

/** What a command prints; its errors and progress are shown. */
function run(command, ...args) {
  console.error(`$ ${[command, ...args].join(" ")}`);
  return execFileSync(command, args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], shell });
}

function expected(what, holds) {
  if (!holds) throw new Error(`newcomer: ${what}`);
}

/** Starts the studio as the guide says, and loads its page. */
async function opensStudio() {
  console.error("$ npx dblocks studio --port 0");
  // Without npx between: a signal would end npx alone, and this script would wait for the studio for ever.
  const dblocks = join(folder, "node_modules/diffusion-blocks/dist/cli/main.js");
  const studio = spawn(process.execPath, [dblocks, "studio", "--port", "0"], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  try {
    const address = await new Promise((resolve, reject) => {
      for (const stream of [studio.stdout, studio.stderr])
        stream.on("data", (text) => /http:\S+/.test(text) && resolve(/http:\S+/.exec(text)[0]));
      studio.once("exit", (code) => reject(new Error(`newcomer: dblocks studio ended with ${code}`)));
    });
    const page = await fetch(address);
    expected(`${address} answers ${page.status}`, page.ok && (await page.text()).includes("<title>"));
  } finally {
    studio.removeAllListeners("exit");
    studio.kill("SIGTERM");
  }
}

try {
  // Where npm is set to run no scripts, packing alone would not build the page.
  execFileSync("npm", ["run", "--silent", "build:studio"], { cwd: root, stdio: "ignore", shell });
  execFileSync("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: root, stdio: "ignore", shell });
  const [archive] = readdirSync(folder);
  const packed = execFileSync("tar", ["-tf", join(folder, archive)], { encoding: "utf8", shell });
  expected("the package holds source maps of sources that it does not hold", !packed.includes(".map"));
  expected("the package lacks the page of the studio", packed.includes("dist/studio/page/index.html"));
  writeFileSync(join(folder, "package.json"), '{ "name": "empty", "private": true, "type": "module" }');
  run("npm", "install", "--silent", "--ignore-scripts", `./${archive}`);
  expected("the native runtime is missing", /^cpu +found/m.test(run("npx", "dblocks", "doctor")));
  expected("partition prints no boundaries", run("npx", "dblocks", "partition", "--blocks", "3").includes("0.505041"));

  const blocks = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/```(js|ts)\n([\s\S]*?)```/g)];
  const program = blocks.find(([, language]) => language === "js")?.[2] ?? "";
  writeFileSync(join(folder, "try.mjs"), program);
  const printed = run("node", "try.mjs").trim().split(", ");
  expected(`the README's program prints ${printed.join(", ")} instead of eight classes`, printed.length === 8);

  const typed = blocks.filter(([, language]) => language === "ts").map(([, , text], i) => [`snippet${i}.ts`, text]);
  for (const [name, text] of typed) writeFileSync(join(folder, name), `${text}\nexport {};\n`);
  const compilerOptions = {
    target: "ES2022",
    module: "NodeNext",
    moduleResolution: "NodeNext",
    lib: ["ES2023", "ESNext.Disposable", "DOM"],
    types: [],
    strict: true,
    skipLibCheck: false,
    noEmit: true,
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: typed.map(([name]) => name) }));
  run("node", join(root, "node_modules/typescript/bin/tsc"), "-p", ".");

  let [typedCommands, compared] = [0, 0];
  for (const document of ["README.md", "docs/GUIDE.md"]) {
    for (const name of ["runs", "features.onnx"]) rmSync(join(folder, name), { recursive: true, force: true });
    writeMaterial(folder, root);
    const text = readFileSync(join(root, document), "utf8");
    const outputs = outputsOf(text);
    for (const command of commandsOf(text)) {
      const line = shortened(command);
      console.error(`$ ${line}`);
      const { status, stdout, stderr } = spawnSync(line, { cwd: folder, shell: true, encoding: "utf8" });
      expected(`${document}: "${line}" ends with ${status}: ${stderr.trim()}`, status === 0);
      const promise = promiseOf(command);
      expected(`${document}: nothing says what "${command}" should print: scripts/newcomer/commands.mjs`, promise !== undefined);
      expected(`${document}: "${line}" does not print ${promise} but ${stdout.trim()}`, promise?.test(stdout.trim()));
      typedCommands++;
      const shown = outputs.get(command);
      if (shown === undefined) continue;
      const difference = differenceOf(shown, stdout);
      expected(`${document}: "${line}" does not print what is shown: ${difference}`, difference === undefined);
      compared++;
    }
  }
  await opensStudio();
  console.log(`newcomer: typed ${typedCommands} commands of README and GUIDE, and compared ${compared} outputs`);
  console.log(`newcomer: installed, ran and compiled ${1 + typed.length} programs of the README`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
