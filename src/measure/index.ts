export * from "./bench.ts";
export * from "./plan.ts";
export * from "./profile.ts";
export * from "./tradeOff.ts";
