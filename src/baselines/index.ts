export * from "./endToEnd.ts";
export * from "./greedy.ts";
