export * from "./checkpoint.ts";
export * from "./classification.ts";
export { fullStepProgram } from "./deviceStep.ts";
export * from "./loop.ts";
export * from "./method.ts";
export * from "./predictor.ts";
export { type ParameterState, UnitState } from "./state.ts";
export { gradientProgram, parameterNames, traceStep } from "./step.ts";
export * from "./trainer.ts";
