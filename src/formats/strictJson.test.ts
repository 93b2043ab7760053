import fc from "fast-check";
import { expect, test } from "vitest";
import { parseStrictJson } from "./strictJson.ts";

test("any JSON value is read as JSON.parse reads it", () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), fc.nat({ max: 4 }), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      expect(parseStrictJson(text, "text")).toEqual(JSON.parse(text));
    }),
  );
});

test.each(['{"a":1,"a":2}', '[{"b":{"a":1,"\\u0061":2}}]', '{"a":[{},"x"],"b":"{\\"a\\":","a":0}', '{"":1,"":1}'])(
  "refused: %s",
  (text) => {
    expect(() => parseStrictJson(text, "config.json")).toThrow(/config\.json has the key ".*" twice/);
  },
);

test.each(['{"a":{"a":1},"b":["a","a"]}', '[{"a":1},{"a":2}]', '{"a":"\\\\","b":"\\",\\"b\\":"}', '{"__proto__":1}'])(
  "fine: %s",
  (text) => {
    expect(parseStrictJson(text, "text")).toEqual(JSON.parse(text));
  },
);

test("text that is not JSON is named", () => {
  expect(() => parseStrictJson('{"a":', "config.json")).toThrow(/config\.json is not valid JSON/);
});
