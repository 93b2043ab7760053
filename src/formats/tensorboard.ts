import { FormatError } from "../errors.ts";
import { crc32c } from "./crc32c.ts";

/** One measured number: what TensorBoard draws as a point of the curve `tag`. */
export interface Scalar {
  readonly tag: string;
  readonly value: number;
}

/** An entry of an event file: the version that opens it, the mark of a restart, or the scalars of a step. */
export interface TensorBoardEvent {
  /** Seconds since 1970. */
  readonly wallTime: number;
  readonly step: number;
  readonly fileVersion?: string;
  /** "start": TensorBoard forgets what other files of the folder said of this step and later ones. */
  readonly session?: "start";
  readonly scalars?: readonly Scalar[];
}

/** The name TensorBoard looks for; names sort by the time they were made, the order in which files of a folder are read. */
export function eventFileName(wallTime: number, writer: string): string {
  return `events.out.tfevents.${String(Math.floor(wallTime)).padStart(10, "0")}.${writer}`;
}

/**
 * The first bytes of an event file. `fromStep` is the first step of the file.
 *
 * @see tensorflow/core/util/event.proto; torch.utils.tensorboard, `purge_step`.
 */
export function encodeEventFileStart(wallTime: number, fromStep = 0): Uint8Array {
  return concat([
    encodeEvent({ wallTime, step: 0, fileVersion: "brain.Event:2" }),
    encodeEvent({ wallTime, step: fromStep, session: "start" }),
  ]);
}

/** One event as it stands in a file. Records are complete in themselves: a file grows by appending them. */
export function encodeEvent(event: TensorBoardEvent): Uint8Array {
  const fields = [double(1, event.wallTime)];
  if (event.step !== 0) fields.push(varint(2, event.step)); // proto3 leaves defaults out
  if (event.fileVersion !== undefined) fields.push(lengthDelimited(3, utf8(event.fileVersion)));
  if (event.scalars !== undefined)
    fields.push(lengthDelimited(5, concat(event.scalars.map((scalar) => lengthDelimited(1, summaryValue(scalar))))));
  if (event.session !== undefined) fields.push(lengthDelimited(7, varint(1, 1)));
  return frame(concat(fields));
}

/** TFRecord: length (8 bytes), masked CRC of the length, the data, masked CRC of the data. */
function frame(data: Uint8Array): Uint8Array {
  const record = new Uint8Array(16 + data.byteLength);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.byteLength), true);
  view.setUint32(8, maskedCrc(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.byteLength, maskedCrc(data), true);
  return record;
}

/** Rotated and shifted, because a CRC over data that hold CRCs is weak. */
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

function summaryValue({ tag, value }: Scalar): Uint8Array {
  return concat([lengthDelimited(1, utf8(tag)), float(2, value)]);
}

// The protobuf wire format, as far as events need it: a key (field * 8 + wire type), then the value.
function varint(field: number, value: number): Uint8Array {
  return Uint8Array.from([...base128(field * 8), ...base128(value)]);
}

function double(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(9);
  bytes[0] = field * 8 + 1;
  new DataView(bytes.buffer).setFloat64(1, value, true);
  return bytes;
}

function float(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(5);
  bytes[0] = field * 8 + 5;
  new DataView(bytes.buffer).setFloat32(1, value, true);
  return bytes;
}

function lengthDelimited(field: number, bytes: Uint8Array): Uint8Array {
  return concat([Uint8Array.from([field * 8 + 2, ...base128(bytes.byteLength)]), bytes]);
}

function base128(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128); // no shifts: steps may pass 2^31
  bytes.push(rest);
  return bytes;
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

/**
 * Reads the events of a file. A record that is cut off at the end (its writer was killed) is left out.
 *
 * @throws {FormatError} `checksum` if a complete record does not have the CRC it carries, `wireType` for a field of unknown form,
 *   `fieldLength` for one that reaches beyond its record.
 */
export function decodeEvents(file: Uint8Array): TensorBoardEvent[] {
  const events: TensorBoardEvent[] = [];
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let at = 0; at + 12 <= file.byteLength; ) {
    const length = Number(view.getBigUint64(at, true));
    if (view.getUint32(at + 8, true) !== maskedCrc(file.subarray(at, at + 8))) throw checksumError(at);
    const end = at + 12 + length;
    if (end + 4 > file.byteLength) break;
    const data = file.subarray(at + 12, end);
    if (view.getUint32(end, true) !== maskedCrc(data)) throw checksumError(at);
    events.push(decodeEvent(data));
    at = end + 4;
  }
  return events;
}

function checksumError(at: number): FormatError {
  return new FormatError(
    "checksum",
    { at },
    `TensorBoard events: the record at byte ${at} does not match its checksum; the file is damaged.`,
  );
}

function decodeEvent(data: Uint8Array): TensorBoardEvent {
  let event: TensorBoardEvent = { wallTime: 0, step: 0 };
  for (const { field, number, bytes } of wireFields(data)) {
    if (field === 1) event = { ...event, wallTime: number };
    if (field === 2) event = { ...event, step: number };
    if (field === 3) event = { ...event, fileVersion: text(bytes) };
    if (field === 5)
      event = { ...event, scalars: [...wireFields(bytes)].filter((value) => value.field === 1).map((value) => decodeValue(value.bytes)) };
    if (field === 7) event = { ...event, session: "start" };
  }
  return event;
}

function decodeValue(data: Uint8Array): Scalar {
  let scalar: Scalar = { tag: "", value: 0 };
  for (const { field, number, bytes } of wireFields(data)) {
    if (field === 1) scalar = { ...scalar, tag: text(bytes) };
    if (field === 2) scalar = { ...scalar, value: number };
  }
  return scalar;
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

interface WireField {
  readonly field: number;
  readonly number: number;
  readonly bytes: Uint8Array;
}

function* wireFields(data: Uint8Array): Generator<WireField> {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const none = new Uint8Array(0);
  let at = 0;
  const cutOff = (): never => {
    throw new FormatError("fieldLength", { at }, "TensorBoard events: a field reaches beyond its record; the file is damaged.");
  };
  /** The place of the next `length` bytes. */
  const need = (length: number): number => {
    if (at + length > data.byteLength) cutOff();
    at += length;
    return at - length;
  };
  const readVarint = (): number => {
    let value = 0;
    for (let scale = 1; scale < 2 ** 70; scale *= 128) {
      const byte = view.getUint8(need(1));
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    return cutOff();
  };
  while (at < data.byteLength) {
    const key = readVarint();
    const field = Math.floor(key / 8);
    switch (key % 8) {
      case 0:
        yield { field, number: readVarint(), bytes: none };
        break;
      case 1:
        yield { field, number: view.getFloat64(need(8), true), bytes: none };
        break;
      case 2: {
        const length = readVarint();
        const start = need(length);
        yield { field, number: length, bytes: data.subarray(start, start + length) };
        break;
      }
      case 5:
        yield { field, number: view.getFloat32(need(4), true), bytes: none };
        break;
      default:
        throw new FormatError(
          "wireType",
          { field, type: key % 8 },
          `TensorBoard events: field ${field} has the unknown wire type ${key % 8}.`,
        );
    }
  }
}
