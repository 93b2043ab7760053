export * from "./endToEnd.ts";
