import { defineModule, initializers, linear, type Module } from "../../src/nn/index.ts";
import { crossEntropy, mean, reshape, type Tensor, tanh } from "../../src/tensor/index.ts";
import { float32, interleaved, ownedParameters, type TrainingMethod, type Unit, type UnitOrder } from "../../src/train/index.ts";

const [pixels, numClasses] = [16, 4];
const init = initializers.fanInUniform;

/**
 * The smallest method of an order: three units, each with a layer and a head, for the batches of `tinyBatch`. Units that are not
 * independent read the layers of the units before them; units that are interleaved and not averaged train one head in common. Symbols are
 * made anew at every call.
 */
export function stacked(order: UnitOrder = interleaved()): TrainingMethod {
  const reads = order.kind !== "independent";
  const sharesHead = order.kind === "interleaved" && order.averaging === undefined;
  const newHead = (): Module<(h: Tensor) => Tensor> => linear(pixels, numClasses, { init });
  const sharedHead = newHead();
  const parts = [0, 1, 2].map((i) => {
    const name = `unit-${i}`;
    const dense = linear(pixels, pixels, { init });
    const layer = defineModule({ dense }, (h: Tensor) => tanh(dense(h)));
    return { name, layer, parameters: ownedParameters(name, layer), head: sharesHead ? sharedHead : newHead() };
  });
  const units = parts.map(
    ({ name, parameters, head }, i): Unit => ({
      name,
      trainable: new Map([...parameters, ...ownedParameters(sharesHead ? "shared" : name, { parts: { head } })]),
      frozen: new Map(reads ? parts.slice(0, i).flatMap((before) => [...before.parameters]) : []),
      constants: new Map(),
      layerEvaluations: 1,
    }),
  );
  return {
    name: "stacked",
    inputType: (batchSize) => float32(batchSize, 1, 4, 4),
    units,
    order,
    objective: (unit, { input, labels }) => {
      const i = units.indexOf(unit);
      const through = parts.slice(reads ? 0 : i, i + 1);
      const state = through.reduce((h, { layer }) => layer(h), reshape(input, [labels.shape[0]!, pixels]));
      return { loss: mean(crossEntropy(parts[i]!.head(state), labels)), metrics: {} };
    },
    programs: [],
  };
}
