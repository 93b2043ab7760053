import type { AttributeValue } from "../tensor/index.ts";
import * as schema from "./schema.ts";
import { MessageWriter } from "./wire.ts";

/** A node of ai.onnx with one output. */
export function plainNode(
  opType: string,
  inputs: readonly string[],
  output: string,
  attributes: Readonly<Record<string, AttributeValue>> = {},
): MessageWriter {
  const out = new MessageWriter();
  for (const input of inputs) out.text(schema.node.input, input);
  out.text(schema.node.output, output).text(schema.node.name, `make_${output}`).text(schema.node.opType, opType);
  for (const [key, value] of Object.entries(attributes)) out.message(schema.node.attribute, encodeAttribute(key, value, false));
  return out;
}

export function encodeAttribute(name: string, value: AttributeValue, isFloat: boolean): MessageWriter {
  const out = new MessageWriter().text(schema.attribute.name, name);
  if (typeof value === "string") return out.text(schema.attribute.string, value).varint(schema.attribute.type, schema.attributeType.string);
  if (typeof value === "number") {
    return isFloat
      ? out.float(schema.attribute.float, value).varint(schema.attribute.type, schema.attributeType.float)
      : out.varint(schema.attribute.int, value).varint(schema.attribute.type, schema.attributeType.int);
  }
  for (const item of value) isFloat ? out.float(schema.attribute.floats, item) : out.varint(schema.attribute.ints, item);
  return out.varint(schema.attribute.type, isFloat ? schema.attributeType.floats : schema.attributeType.ints);
}
