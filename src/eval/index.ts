export * from "./fid.ts";
