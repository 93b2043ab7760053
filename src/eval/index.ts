export * from "./classQuality.ts";
export { distinct } from "./distinct.ts";
export * from "./features.ts";
export * from "./fid.ts";
export * from "./kid.ts";
export * from "./mauve.ts";
export * from "./mauveFeatures.ts";
export { selfBleu } from "./selfBleu.ts";
