/** Ways of training as values: their options on each kind of network, and how they are built. */
export { blocks } from "./blocks.ts";
export { endToEnd } from "./endToEnd.ts";
export { contrastiveMethod, forwardForwardMethod, greedyMethod } from "./layerwise.ts";
export { localUpdatesMethod } from "./localUpdates.ts";
export { backprop, noPropCT, noPropDT, noPropFM } from "./noProp.ts";
export { shallowTwinMethod, twinEnsembleMethod } from "./twins.ts";
