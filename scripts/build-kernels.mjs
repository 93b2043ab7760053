// Compiles src/optim/kernels/kernels.wat into kernels.wasm.ts beside it.
// With --check it writes nothing and exits with 1 if the committed file is not what the source gives.
import { readFileSync, writeFileSync } from "node:fs";
import wabtModule from "wabt";

const folder = new URL("../src/optim/kernels/", import.meta.url);
const target = new URL("kernels.wasm.ts", folder);

const wabt = await wabtModule();
const module = wabt.parseWat("kernels.wat", readFileSync(new URL("kernels.wat", folder), "utf8"), { simd: true });
module.validate({ simd: true });
const { buffer } = module.toBinary({});
module.destroy();

const text = `// Generated from kernels.wat by scripts/build-kernels.mjs; ${buffer.length} bytes. Do not edit.
export const kernelsBase64: string =
  "${Buffer.from(buffer).toString("base64")}";
`;
if (!process.argv.includes("--check")) {
  writeFileSync(target, text);
} else if (readFileSync(target, "utf8") !== text) {
  console.error("kernels.wasm.ts is not what kernels.wat compiles to. Run: node scripts/build-kernels.mjs");
  process.exitCode = 1;
}
