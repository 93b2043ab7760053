export { distinct } from "./distinct.ts";
export * from "./features.ts";
export * from "./fid.ts";
export * from "./mauve.ts";
