import type { ViteUserConfig } from "vitest/config";
import config from "./vitest.config.ts";

/** `npm run test:webgpu`: training in a page on an adapter in software, some minutes. */
const webgpu: ViteUserConfig = { ...config, test: { ...config.test, include: ["test/webgpu/**/*.test.ts"], exclude: [] } };
export default webgpu;
