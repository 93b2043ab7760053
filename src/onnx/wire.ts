/**
 * The protobuf wire format, as far as ONNX needs it: varints, length-delimited fields and 32-bit floats.
 * @see Protocol Buffers documentation, "Encoding".
 */
const varintType = 0;
const lengthType = 2;
const fixed32Type = 5;

/** Payloads from this size on are kept by reference until `finish`. */
const largeBytes = 256;
const encoder = new TextEncoder();
const scratch = new Uint8Array(1024);

/** Collects the fields of one message. */
export class MessageWriter {
  /** Finished stretches of bytes, in order. */
  private readonly parts: Uint8Array[] = [];
  private open = new Uint8Array(128);
  private used = 0;

  varint(field: number, value: number | bigint): this {
    return this.number(field * 8 + varintType).number(value);
  }

  float(field: number, value: number): this {
    return this.number(field * 8 + fixed32Type).append(new Uint8Array(Float32Array.of(value).buffer));
  }

  bytes(field: number, value: Uint8Array): this {
    return this.number(field * 8 + lengthType)
      .number(value.length)
      .append(value);
  }

  text(field: number, value: string): this {
    const fits = 3 * value.length <= scratch.length; // a UTF-16 unit takes at most three bytes
    return this.bytes(field, fits ? scratch.subarray(0, encoder.encodeInto(value, scratch).written) : encoder.encode(value));
  }

  message(field: number, value: MessageWriter): this {
    this.number(field * 8 + lengthType).number(value.length);
    for (const part of value.stretches()) this.append(part);
    return this;
  }

  finish(): Uint8Array {
    const out = new Uint8Array(this.length);
    let offset = 0;
    for (const part of this.stretches()) {
      out.set(part, offset);
      offset += part.length;
    }
    return out;
  }

  private get length(): number {
    return this.parts.reduce((sum, part) => sum + part.length, this.used);
  }

  private stretches(): readonly Uint8Array[] {
    return [...this.parts, this.open.subarray(0, this.used)];
  }

  private append(bytes: Uint8Array): this {
    if (bytes.length >= largeBytes && bytes.buffer !== scratch.buffer) {
      this.parts.push(this.open.slice(0, this.used), bytes);
      this.used = 0;
      return this;
    }
    this.reserve(bytes.length);
    this.open.set(bytes, this.used);
    this.used += bytes.length;
    return this;
  }

  /** Base-128, low groups first; negative numbers as 64-bit two's complement. */
  private number(value: number | bigint): this {
    let rest = value;
    this.reserve(10);
    if (rest < 0 || typeof rest === "bigint") {
      let wide = BigInt.asUintN(64, BigInt(rest));
      for (; wide >= 0x80n; wide >>= 7n) this.open[this.used++] = Number(wide & 0x7fn) | 0x80;
      rest = Number(wide);
    }
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.open[this.used++] = (rest % 0x80) | 0x80;
    this.open[this.used++] = rest;
    return this;
  }

  private reserve(count: number): void {
    if (this.used + count <= this.open.length) return;
    const wider = new Uint8Array(2 * (this.used + count));
    wider.set(this.open.subarray(0, this.used));
    this.open = wider;
  }
}

export type WireValue = bigint | Uint8Array;

/** The fields of one message in order: varints as bigint, the rest as bytes. Throws RangeError where the bytes end early. */
export function* readMessage(bytes: Uint8Array): Generator<{ field: number; value: WireValue }> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) break;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, value);
    }
    throw new RangeError("a varint does not end");
  };
  const take = (length: number): Uint8Array => {
    if (length < 0 || at + length > bytes.length) throw new RangeError("a field reaches beyond the end");
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const type = tag & 7;
    const value =
      type === varintType
        ? varint()
        : type === lengthType
          ? take(Number(varint()))
          : type === fixed32Type
            ? take(4)
            : type === 1
              ? take(8)
              : undefined;
    if (value === undefined) throw new RangeError(`wire type ${type} is unknown`);
    yield { field: tag >>> 3, value };
  }
}
