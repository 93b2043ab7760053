/** Characters of a message: names and values of a file stand in it, but not the file. */
const longestMessage = 3000;

/**
 * Every error that the library throws on purpose. `code` and `data` are for programs; the message is for people:
 * what was given, what was expected, what to do.
 */
export class DiffusionBlocksError extends Error {
  readonly code: string;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(code: string, data: Readonly<Record<string, unknown>>, message: string, options?: ErrorOptions) {
    super(message.length > longestMessage ? `${message.slice(0, longestMessage)} … (${message.length} characters)` : message, options);
    this.code = code;
    this.data = data;
    this.name = new.target.name;
  }
}

/** A tensor operator was given shapes, types or attributes that do not fit. */
export class ShapeError extends DiffusionBlocksError {}
/** The noise range, the partition or the assignment of layers to blocks is not possible as asked. */
export class PartitionError extends DiffusionBlocksError {}
/** A configuration or an option has a wrong or unknown value. The command line exits with 2. */
export class UsageError extends DiffusionBlocksError {}
/** A data file is missing, truncated, or holds values out of range. */
export class DataError extends DiffusionBlocksError {}
/** A run folder or a file in it is damaged, foreign, or cannot be written. */
export class RunError extends DiffusionBlocksError {}
/** A checkpoint, safetensors or ONNX file breaks its format. */
export class FormatError extends DiffusionBlocksError {}
/** A device or its driver is not there or refused the work. */
export class DeviceError extends DiffusionBlocksError {}
/** Training cannot go on: a loss or a gradient is not a number. */
export class TrainingError extends DiffusionBlocksError {}
