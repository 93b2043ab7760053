// Trains in a worker, as the studio does: one system at a time, some steps when it is asked.
import { openDevice } from "../../dist/index.js";
import { benchStepper } from "../../dist/measure/index.js";
import { jaxStepper } from "./jaxStep.mjs";

const open = {
  ours: async (one, threads) => {
    const device = await openDevice("wasm", { threads });
    const stepper = await benchStepper(device, one);
    return { step: async () => ({ ms: await stepper.step() }), threads: device.threads };
  },
  "jax-js": async (one) => ({ ...(await jaxStepper(one)), threads: navigator.hardwareConcurrency }),
};
const opened = new Map();

globalThis.onmessage = async ({ data: { system, one, threads, steps } }) => {
  try {
    const key = JSON.stringify([system, one]);
    if (!opened.has(key)) opened.set(key, await open[system](one, threads));
    const { step, ...about } = opened.get(key);
    const results = [];
    for (let i = 0; i < steps; i++) results.push(await step());
    globalThis.postMessage({ results, ...about });
  } catch (error) {
    globalThis.postMessage({ error: String(error?.stack ?? error) });
  }
};
