import { type Key, uniformAt } from "../random.ts";

/** Values in an order that derives from the key. */
export function shuffled<Value>(values: readonly Value[], key: Key): readonly Value[] {
  const order = Array.from(values, (value, i) => ({ value, at: uniformAt(key, i) }));
  return order.sort((a, b) => a.at - b.at).map(({ value }) => value);
}
