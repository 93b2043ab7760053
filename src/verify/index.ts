/** Proofs on files: that this library computes what another one did, and that a trained run is what it claims to be. */
export type { Check } from "./check.ts";
export { checkIsolation } from "./isolation.ts";
export { checkOwnership } from "./ownership.ts";
export { type Comparison, type ReferenceComparison, referenceTolerance, verifyReferenceFile } from "./referenceFile.ts";
export { type VerifyRunOptions, verifyRun } from "./run.ts";
