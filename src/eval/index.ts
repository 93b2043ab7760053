export * from "./features.ts";
export * from "./fid.ts";
