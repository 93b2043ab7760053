import fc from "fast-check";
import { expect, test } from "vitest";
import { FormatError } from "../errors.ts";
import { crc32c } from "./crc32c.ts";
import { decodeEvents, encodeEvent, encodeEventFileStart, eventFileName, type TensorBoardEvent } from "./tensorboard.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

// RFC 3720, appendix B.4, and the check value of the CRC catalogue.
test.each([
  [new TextEncoder().encode("123456789"), 0xe3069283],
  [new Uint8Array(32), 0x8a9136aa],
  [new Uint8Array(32).fill(255), 0x62a8ab43],
  [Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
])("crc32c, published values", (bytes, expected) => {
  expect(crc32c(bytes)).toBe(expected);
});

// Every event file of TensorFlow starts with these bytes (xxd of events.out.tfevents.*): 24 bytes, masked CRC
// 0x224b7fa3, field 1 as double.
test("a file opens as TensorFlow's do", () => {
  expect(hex(encodeEventFileStart(1_700_000_000).subarray(0, 13))).toBe("1800000000000000a37f4b2209");
});

// protobuf by hand: 09 <double 1.5>, 10 96 01 (step 150), 2a 0d { 0a 0b { 0a 04 "loss", 15 <float 0.25> } }
test("a scalar, byte by byte", () => {
  const record = encodeEvent({ wallTime: 1.5, step: 150, scalars: [{ tag: "loss", value: 0.25 }] });
  expect(hex(record.subarray(12, -4))).toBe("09000000000000f83f1096012a0d0a0b0a046c6f7373150000803e");
});

const anEvent: fc.Arbitrary<TensorBoardEvent> = fc.record({
  wallTime: fc.double({ min: 0, max: 2e9, noNaN: true }),
  step: fc.maxSafeNat(),
  scalars: fc.array(fc.record({ tag: fc.string({ unit: "grapheme" }), value: fc.float() }), { maxLength: 4 }),
});

test("what was written is decoded, whatever is appended in pieces", () => {
  fc.assert(
    fc.property(fc.array(anEvent, { maxLength: 5 }), (events) => {
      const [version, session, ...rest] = decodeEvents(Buffer.concat([encodeEventFileStart(9.5, 7), ...events.map(encodeEvent)]));
      expect(version).toEqual({ wallTime: 9.5, step: 0, fileVersion: "brain.Event:2" });
      expect(session).toEqual({ wallTime: 9.5, step: 7, session: "start" });
      expect(rest).toEqual(events);
    }),
  );
});

test("a record cut off by a kill is left out, those before it stay", () => {
  const first = encodeEvent({ wallTime: 1, step: 1, scalars: [] });
  const file = Buffer.concat([first, encodeEvent({ wallTime: 2, step: 2, scalars: [] })]);
  for (let length = first.byteLength; length < file.byteLength; length++) expect(decodeEvents(file.subarray(0, length))).toHaveLength(1);
});

test("every flipped bit of a record is noticed", () => {
  const record = encodeEvent({ wallTime: 1, step: 300, scalars: [{ tag: "a", value: 1 }] });
  for (let bit = 0; bit < record.byteLength * 8; bit++) {
    const damaged = record.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    expect(() => decodeEvents(damaged)).toThrow(FormatError);
  }
});

test("names of event files sort by time", () => {
  expect(eventFileName(1_700_000_000.9, "host.12")).toBe("events.out.tfevents.1700000000.host.12");
  expect(eventFileName(999, "x") < eventFileName(1000, "x")).toBe(true);
});
