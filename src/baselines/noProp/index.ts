export * from "./backprop.ts";
export * from "./continuous.ts";
export * from "./discrete.ts";
export * from "./embeddings.ts";
export * from "./flow.ts";
