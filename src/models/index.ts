export * from "./vit.ts";
export * from "./vitPresets.ts";
