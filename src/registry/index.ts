import { Registry } from "../define/index.ts";
import {
  backprop,
  blocks,
  contrastiveMethod,
  endToEnd,
  forwardForwardMethod,
  greedyMethod,
  localUpdatesMethod,
  noPropCT,
  noPropDT,
  noPropFM,
  shallowTwinMethod,
  twinEnsembleMethod,
} from "../methods/index.ts";
import {
  autoregressiveModel,
  ditModel,
  maskedDiffusionModel,
  mlpModel,
  noPropCnnModel,
  recurrentDepthModel,
  vitModel,
} from "../models/index.ts";

/** All models and methods of the package, one line each. Plugins add theirs. */
export const registry: Registry = new Registry({
  models: [vitModel, ditModel, maskedDiffusionModel, autoregressiveModel, recurrentDepthModel, mlpModel, noPropCnnModel],
  methods: [
    blocks,
    endToEnd,
    shallowTwinMethod,
    twinEnsembleMethod,
    localUpdatesMethod,
    greedyMethod,
    forwardForwardMethod,
    contrastiveMethod,
    backprop,
    noPropDT,
    noPropCT,
    noPropFM,
  ],
});
