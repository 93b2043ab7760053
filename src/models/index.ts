export * from "./autoregressive.ts";
export * from "./dit.ts";
export * from "./maskedDiffusion.ts";
export * from "./mlp.ts";
export * from "./noPropCnn.ts";
export * from "./recurrentDepth.ts";
export * from "./vit.ts";
export * from "./vitPresets.ts";
