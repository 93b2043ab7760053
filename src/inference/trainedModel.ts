import type { Device } from "../runtime/index.ts";
import type { CallerOptions, ParameterValues } from "../train/index.ts";

/** The device and parameters of a trained model. */
export interface TrainedUse {
  readonly device: Device;
  readonly values: ParameterValues;
  /** Samples that the network is asked about at once. */
  readonly batchSize?: number | undefined;
  /** Told at every run of a program what its layers attend to. */
  readonly onAttention?: CallerOptions["onAttention"];
  /** Whether the model disposes of the device with itself. */
  readonly ownsDevice?: boolean;
}

/** A trained network as a value. Dispose of it: its programs hold memory of the device. */
export interface TrainedModel extends AsyncDisposable {
  dispose(): Promise<void>;
}

/** The disposal of programs, and of the device where the model owns it. */
export function disposing(programs: { dispose(): Promise<void> }, { device, ownsDevice = false }: TrainedUse): TrainedModel {
  const dispose = async (): Promise<void> => {
    await programs.dispose();
    if (ownsDevice) await device.dispose();
  };
  return { dispose, [Symbol.asyncDispose]: dispose };
}
