export * from "./endToEnd.ts";
export * from "./forwardForward/contrastive.ts";
export { type ForwardForwardOptions, forwardForward } from "./forwardForward/forwardForward.ts";
export * from "./greedy.ts";
export * from "./localUpdates.ts";
export * from "./nextToken.ts";
export * from "./noProp/index.ts";
export * from "./recurrentDepth.ts";
