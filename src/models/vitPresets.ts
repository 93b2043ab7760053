import type { VitOptions } from "./vit.ts";

/** What both published networks have in common. Their MLP is 3072 wide at every width: the default of the library that they extend. */
const official = { patchSize: 4, mlpWidth: 3072, dropout: 0.1, labelToken: "class", initialization: "normal", epsilon: 1e-12 } as const;

/** The network of the official DiffusionBlocks code for CIFAR-100: `vit(vitOfficialCifar100)`; noise conditioning of width 128 / 6 = 21. */
export const vitOfficialCifar100: VitOptions = Object.freeze({
  ...official,
  imageSize: 32,
  width: 128,
  numLayers: 12,
  numHeads: 4,
  numClasses: 100,
});

/** The same for Tiny-ImageNet; noise conditioning of width 128. */
export const vitOfficialTinyImageNet: VitOptions = Object.freeze({
  ...official,
  imageSize: 64,
  width: 768,
  numLayers: 12,
  numHeads: 12,
  numClasses: 200,
});
