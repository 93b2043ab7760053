export * from "./vit.ts";
