import { defineConfig, mergeConfig, type ViteUserConfig } from "vitest/config";
import config from "./vitest.config.ts";

/** The tests that train nothing and start no process: what `npm run check` runs in under a minute. */
const slow = [
  "test/{browser,docs,examples,fuzz,golden,independence,release,seam,studio}.test.ts",
  "test/{cli,cluster,exchange}/**",
  "src/{baselines,blocks,sources,tasks}/**",
];
const quick: ViteUserConfig = mergeConfig(
  config,
  defineConfig({
    test: {
      exclude: [...slow, "src/runtime/runtime.test.ts", "src/tensor/gradients.test.ts", "src/train/{trainer,loop,memoryStore}.test.ts"],
    },
  }),
);
export default quick;
