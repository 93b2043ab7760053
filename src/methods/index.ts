/** Ways of training as values: their options on each kind of network, and how they are built. */
export { blocks } from "./blocks.ts";
export { endToEnd, shallowTwinMethod, twinEnsembleMethod } from "./endToEnd.ts";
export { contrastiveMethod, forwardForwardMethod, greedyMethod } from "./layerwise.ts";
export { localUpdatesMethod } from "./localUpdates.ts";
export { backprop, noPropCT, noPropDT, noPropFM } from "./noProp.ts";
