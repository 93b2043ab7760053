import { cpSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin, type UserConfig } from "vite";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const [target, runtime] = [path("../dist/studio/page/"), path("../node_modules/onnxruntime-web/dist/")];

const { version } = JSON.parse(readFileSync(path("../package.json"), "utf8")) as { readonly version: string };

/** The builds of ONNX Runtime that the page imports, by their name in the code. */
const builds: Readonly<Record<string, string>> = {
  "onnxruntime-web/wasm": "ort.wasm.bundle.min.mjs",
  "onnxruntime-web/webgpu": "ort.webgpu.bundle.min.mjs",
};

/**
 * ONNX Runtime stays out of the bundle: its script and its .wasm files lie together in ort/, so that they always fit each other.
 * `dblocks studio` serves them from the installed package; a static site gets copies.
 */
function runtimeBeside(): Plugin {
  return {
    name: "runtime-beside",
    enforce: "pre",
    resolveId: (id) => (builds[id] === undefined ? undefined : { id: `../ort/${builds[id]}`, external: true }),
    closeBundle() {
      mkdirSync(`${target}ort`, { recursive: true });
      const needed = readdirSync(runtime).filter((name) =>
        /^(ort\.(wasm|webgpu)\.bundle\.min\.mjs|ort-wasm-simd-threaded(\.asyncify)?\.(wasm|mjs))$/.test(name),
      );
      for (const name of needed) cpSync(`${runtime}${name}`, `${target}ort/${name}`);
    },
  };
}

const config: UserConfig = defineConfig({
  root: path("."),
  base: "./",
  resolve: { alias: { "diffusion-blocks": path("../dist/index.js") } },
  define: { __VERSION__: JSON.stringify(version) },
  plugins: [runtimeBeside()],
  build: {
    outDir: target,
    emptyOutDir: true,
    target: "esnext",
    modulePreload: false,
    chunkSizeWarningLimit: 2000,
    reportCompressedSize: false,
    rolldownOptions: {
      makeAbsoluteExternalsRelative: false,
      input: { index: path("index.html"), worker: path("src/worker.ts") },
      output: { entryFileNames: ({ name }) => `assets/${name === "worker" ? "worker" : "[name]-[hash]"}.js` },
    },
  },
});
export default config;
