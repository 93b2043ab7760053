import { fileURLToPath } from "node:url";
import { defineConfig, type ViteUserConfig } from "vitest/config";

const source = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url));

const config: ViteUserConfig = defineConfig({
  resolve: { alias: { "#ort": source("runtime/ort.node.ts"), "#text-file": source("data/textFile.node.ts") } },
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    exclude: ["test/webgpu/**"], // vitest.webgpu.config.ts
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
  },
});
export default config;
