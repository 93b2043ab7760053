/** Proofs on files: that this library computes what another one did, and that a trained run is what it claims to be. */
export { type Comparison, type ReferenceComparison, referenceTolerance, verifyReferenceFile } from "./referenceFile.ts";
