/**
 * The protobuf wire format, as far as ONNX needs it: varints, length-delimited fields and 32-bit floats.
 * @see Protocol Buffers documentation, "Encoding".
 */
const varintType = 0;
const lengthType = 2;
const fixed32Type = 5;

/** Collects the fields of one message. Large payloads are kept by reference until `finish`. */
export class MessageWriter {
  private readonly parts: Uint8Array[] = [];
  private length = 0;

  varint(field: number, value: number | bigint): this {
    return this.push(varintBytes(field * 8 + varintType)).push(varintBytes(value));
  }

  float(field: number, value: number): this {
    return this.push(varintBytes(field * 8 + fixed32Type)).push(new Uint8Array(Float32Array.of(value).buffer));
  }

  bytes(field: number, value: Uint8Array): this {
    return this.push(varintBytes(field * 8 + lengthType))
      .push(varintBytes(value.length))
      .push(value);
  }

  text(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  message(field: number, value: MessageWriter): this {
    this.push(varintBytes(field * 8 + lengthType)).push(varintBytes(value.length));
    for (const part of value.parts) this.push(part);
    return this;
  }

  finish(): Uint8Array {
    const out = new Uint8Array(this.length);
    let offset = 0;
    for (const part of this.parts) {
      out.set(part, offset);
      offset += part.length;
    }
    return out;
  }

  private push(part: Uint8Array): this {
    this.parts.push(part);
    this.length += part.length;
    return this;
  }
}

/** Base-128, low groups first; negative numbers as 64-bit two's complement. */
function varintBytes(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const out: number[] = [];
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    out.push(rest > 0n ? low | 0x80 : low);
  } while (rest > 0n);
  return Uint8Array.from(out);
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
