import { FormatError } from "../errors.ts";
import { type NumArray, numArray } from "./numArray.ts";

/**
 * What a pickle of data holds. Python 2's strings are bytes; dictionaries have text as keys.
 */
export type Pickled = null | boolean | number | string | Uint8Array | NumArray | readonly Pickled[] | ReadonlyMap<string, Pickled>;

/** A value of the pickle machine: data, or what is on the way to become an array. */
type Value = Pickled | Value[] | Map<string, Pickled> | Global | Dtype | Unfilled;

/** A function of Python that arrays are pickled by: a name, and nothing that could be called. */
class Global {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** A numpy.dtype: its type, and the byte order that its state says. */
class Dtype {
  order = "|";
  readonly kind: string;
  constructor(kind: string) {
    this.kind = kind;
  }
}

/** A numpy.ndarray before its state. */
class Unfilled {
  array: NumArray | undefined;
}

/** Values of a pickle; a data set's has its labels and names of files. */
const maxValues = 5_000_000;

const mark = Symbol("mark");

/**
 * Reads a pickle of data, protocols 0 to 5: dictionaries, lists, tuples, strings, numbers and NumPy arrays of numbers. Nothing is
 * executed: of Python's functions only the names of those that make arrays and bytes are known, and all else is refused.
 *
 * @throws {FormatError} `pickle`: with the place, if it is damaged, too large, or holds anything else.
 * @see Python's Lib/pickletools.py for the operations.
 */
export function readPickle(bytes: Uint8Array): Pickled {
  return new Machine(bytes).run();
}

class Machine {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private at = 0;
  private operation = 0;
  private values = 0;
  private encoded = 0;
  stack: (Value | typeof mark)[] = [];
  readonly memo = new Map<number, Value>();

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  run(): Pickled {
    for (;;) {
      this.operation = this.at;
      const code = this.byte();
      if (code === 0x2e) return this.data(this.pop());
      const operate = operations.get(code) ?? this.fail(`operation 0x${code.toString(16)} is not one of data`);
      operate(this);
    }
  }

  global(module: string, name: string): Global {
    const plain = `${module}.${name}`.replace(/^numpy\._core\./, "numpy.core.").replace(/^__builtin__\./, "builtins.");
    if (known.includes(plain)) return new Global(plain);
    this.fail(`it refers to ${JSON.stringify(`${module}.${name}`.slice(0, 80))}; data need ${known.join(", ")} and nothing else`);
  }

  /** What a known function makes of its arguments. */
  reduced(): Value {
    const [callee, args] = this.popMany(2);
    if (!(callee instanceof Global) || !Array.isArray(args)) this.fail("it calls what is no known function");
    switch (callee.name) {
      case "numpy.core.multiarray._reconstruct":
        return new Unfilled();
      case "numpy.dtype":
        return new Dtype(this.text(args[0] ?? null));
      case "numpy.core.numeric._frombuffer":
        return this.array(args[1]!, args[2]!, args[0]!, this.text(args[3] ?? null) === "F");
      case "_codecs.encode": // Python 3's bytes in protocol 2: text of which each character is a byte
        return this.latin1(args[0] ?? null);
      case "builtins.bytes":
        if (args.length === 0) return new Uint8Array();
    }
    return this.fail(`${callee.name} is given what it does not take`);
  }

  build(): void {
    const [state] = this.popMany(1);
    const target = this.top();
    if (!Array.isArray(state)) this.fail("it sets the state of what has none");
    if (target instanceof Dtype) target.order = this.text(state[1] ?? null);
    else if (target instanceof Unfilled) target.array = this.array(state[2]!, state[1]!, state[4]!, state[3] === true);
    else this.fail("it sets the state of what has none");
  }

  array(dtype: Value, shape: Value, bytes: Value, isColumnOrder: boolean): NumArray {
    const isShape = Array.isArray(shape) && shape.every((size) => typeof size === "number");
    if (!(dtype instanceof Dtype) || !isShape || !(bytes instanceof Uint8Array)) this.fail("an array is not one of numbers");
    const order = dtype.order === "|" || dtype.order === "=" ? "<" : dtype.order;
    try {
      return numArray({ type: order + dtype.kind, shape: shape as number[], isColumnOrder, bytes });
    } catch (cause) {
      return this.fail((cause as Error).message);
    }
  }

  latin1(value: Value): Uint8Array {
    const characters = this.text(value);
    this.encoded += characters.length;
    if (this.encoded > this.bytes.length) this.fail("it repeats its bytes");
    return Uint8Array.from(characters, (character) => character.charCodeAt(0));
  }

  dictionary(): void {
    const items = this.toMark();
    this.push(new Map());
    this.setItems(items);
  }

  setItems(items: readonly Value[]): void {
    const target = this.top();
    if (!(target instanceof Map) || items.length % 2 !== 0) this.fail("it sets items of what is no dictionary");
    for (let i = 0; i < items.length; i += 2) target.set(this.text(items[i]!), items[i + 1] as Pickled);
  }

  append(items: readonly Value[]): void {
    const target = this.top();
    if (!Array.isArray(target)) this.fail("it appends to what is no list");
    for (const item of items) target.push(item);
  }

  recall(place: number): void {
    const value = this.memo.get(place);
    if (value === undefined) this.fail(`it refers to value ${place}, which it does not have`);
    this.push(value);
  }

  push(value: Value | typeof mark): void {
    if (++this.values > maxValues) this.fail(`it has more than ${maxValues} values`);
    this.stack.push(value);
  }

  pop(): Value {
    const value = this.stack.pop();
    if (value === undefined || value === mark) this.fail("it takes a value where there is none");
    return value;
  }

  top(): Value {
    const value = this.stack.at(-1);
    if (value === undefined || value === mark) this.fail("it takes a value where there is none");
    return value;
  }

  popMany(count: number): Value[] {
    return Array.from({ length: count }, () => this.pop()).reverse();
  }

  toMark(): Value[] {
    const at = this.stack.lastIndexOf(mark);
    if (at < 0) this.fail("a mark is missing");
    const values = this.stack.slice(at + 1) as Value[];
    this.stack.length = at;
    return values;
  }

  /** The value, where everything in it is data; arrays are put in their place. */
  data(root: Value): Pickled {
    const seen = new Map<Value, Pickled>();
    const visit = (value: Value, depth: number): Pickled => {
      if (value instanceof Unfilled) return value.array ?? this.fail("an array has no state");
      if (value instanceof Global || value instanceof Dtype) return this.fail("it holds a function");
      if (!(value instanceof Map || Array.isArray(value))) return value as Pickled;
      if (depth > 100) return this.fail("it is nested more than 100 deep");
      const before = seen.get(value);
      if (before !== undefined) return before;
      const items: Pickled[] = [];
      const map = new Map<string, Pickled>();
      seen.set(value, value instanceof Map ? map : items);
      if (value instanceof Map) for (const [key, item] of value) map.set(key, visit(item, depth + 1));
      else for (const item of value) items.push(visit(item as Value, depth + 1));
      return value instanceof Map ? map : items;
    };
    return visit(root, 0);
  }

  text(value: Value): string {
    if (typeof value === "string") return value;
    if (value instanceof Uint8Array && value.length < 1000) return new TextDecoder("latin1").decode(value);
    if (typeof value === "number") return String(value);
    return this.fail("a name is no text");
  }

  quoted(): Uint8Array {
    const line = this.line();
    const inner = /^(['"])([^\\]*)\1$/.exec(line)?.[2];
    if (inner === undefined) this.fail("a string in quotes has escapes");
    return new TextEncoder().encode(inner);
  }

  line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) this.fail("it ends within a line");
    const line = text(this.bytes.subarray(this.at, end));
    this.at = end + 1;
    return line;
  }

  number(digits: string): number {
    const value = Number(digits);
    if (digits.trim() === "" || !Number.isFinite(value)) this.fail(`${JSON.stringify(digits.slice(0, 40))} is no number`);
    return value;
  }

  /** A signed little-endian integer of so many bytes. */
  long(length: number): number {
    if (length > 8) this.fail(`an integer of ${length} bytes`);
    const bytes = this.take(length);
    const isNegative = length > 0 && bytes[length - 1]! >= 0x80;
    const value = bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
    return isNegative ? value - 256 ** length : value;
  }

  byte(): number {
    return this.take(1)[0]!;
  }

  uint16(): number {
    return viewOf(this.take(2)).getUint16(0, true);
  }

  int32(): number {
    return viewOf(this.take(4)).getInt32(0, true);
  }

  size4(): number {
    return viewOf(this.take(4)).getUint32(0, true);
  }

  size8(): number {
    return Number(viewOf(this.take(8)).getBigUint64(0, true));
  }

  take(length: number): Uint8Array {
    if (length > this.view.byteLength - this.at) this.fail("it ends too early");
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  fail(what: string): never {
    const message = `The pickle cannot be read, byte ${this.operation}: ${what}. Pickles of dictionaries, lists, strings, numbers and arrays are; nothing in them is executed.`;
    throw new FormatError("pickle", { at: this.operation }, message);
  }
}

/** Operations by their code, in the order of pickletools. */
const operations: ReadonlyMap<number, (m: Machine) => unknown> = new Map<number, (m: Machine) => unknown>([
  [0x80, (m) => m.byte()], // PROTO
  [0x95, (m) => m.take(8)], // FRAME
  [0x4e, (m) => m.push(null)], // NONE
  [0x88, (m) => m.push(true)], // NEWTRUE
  [0x89, (m) => m.push(false)], // NEWFALSE
  [0x49, (m) => m.push(m.number(m.line()))], // INT; "00" and "01" are booleans
  [0x4c, (m) => m.push(m.number(m.line().replace(/L$/, "")))], // LONG
  [0x4a, (m) => m.push(m.int32())], // BININT
  [0x4b, (m) => m.push(m.byte())], // BININT1
  [0x4d, (m) => m.push(m.uint16())], // BININT2
  [0x8a, (m) => m.push(m.long(m.byte()))], // LONG1
  [0x8b, (m) => m.push(m.long(m.size4()))], // LONG4
  [0x46, (m) => m.push(m.number(m.line()))], // FLOAT
  [0x47, (m) => m.push(viewOf(m.take(8)).getFloat64(0))], // BINFLOAT
  [0x53, (m) => m.push(m.quoted())], // STRING
  [0x54, (m) => m.push(m.take(m.size4()))], // BINSTRING
  [0x42, (m) => m.push(m.take(m.size4()))], // BINBYTES
  [0x55, (m) => m.push(m.take(m.byte()))], // SHORT_BINSTRING
  [0x43, (m) => m.push(m.take(m.byte()))], // SHORT_BINBYTES
  [0x8e, (m) => m.push(m.take(m.size8()))], // BINBYTES8
  [0x96, (m) => m.push(m.take(m.size8()))], // BYTEARRAY8
  [0x56, (m) => m.push(m.line())], // UNICODE
  [0x58, (m) => m.push(text(m.take(m.size4())))], // BINUNICODE
  [0x8c, (m) => m.push(text(m.take(m.byte())))], // SHORT_BINUNICODE
  [0x8d, (m) => m.push(text(m.take(m.size8())))], // BINUNICODE8
  [0x5d, (m) => m.push([])], // EMPTY_LIST
  [0x29, (m) => m.push([])], // EMPTY_TUPLE
  [0x6c, (m) => m.push(m.toMark())], // LIST
  [0x74, (m) => m.push(m.toMark())], // TUPLE
  [0x85, (m) => m.push(m.popMany(1))], // TUPLE1
  [0x86, (m) => m.push(m.popMany(2))], // TUPLE2
  [0x87, (m) => m.push(m.popMany(3))], // TUPLE3
  [0x61, (m) => m.append(m.popMany(1))], // APPEND
  [0x65, (m) => m.append(m.toMark())], // APPENDS
  [0x7d, (m) => m.push(new Map())], // EMPTY_DICT
  [0x64, (m) => m.dictionary()], // DICT
  [0x73, (m) => m.setItems(m.popMany(2))], // SETITEM
  [0x75, (m) => m.setItems(m.toMark())], // SETITEMS
  [0x28, (m) => m.push(mark)], // MARK
  [0x30, (m) => m.stack.pop()], // POP
  [0x31, (m) => m.toMark()], // POP_MARK
  [0x32, (m) => m.push(m.top())], // DUP
  [0x67, (m) => m.recall(m.number(m.line()))], // GET
  [0x68, (m) => m.recall(m.byte())], // BINGET
  [0x6a, (m) => m.recall(m.size4())], // LONG_BINGET
  [0x70, (m) => m.memo.set(m.number(m.line()), m.top())], // PUT
  [0x71, (m) => m.memo.set(m.byte(), m.top())], // BINPUT
  [0x72, (m) => m.memo.set(m.size4(), m.top())], // LONG_BINPUT
  [0x94, (m) => m.memo.set(m.memo.size, m.top())], // MEMOIZE
  [0x63, (m) => m.push(m.global(m.line(), m.line()))], // GLOBAL
  [
    0x93,
    (m) => {
      const [module, name] = m.popMany(2);
      m.push(m.global(m.text(module!), m.text(name!)));
    },
  ], // STACK_GLOBAL
  [0x52, (m) => m.push(m.reduced())], // REDUCE
  [0x62, (m) => m.build()], // BUILD
]);

/** What arrays and bytes are pickled by. */
const known: readonly string[] = [
  "numpy.core.multiarray._reconstruct",
  "numpy.core.numeric._frombuffer",
  "numpy.ndarray",
  "numpy.dtype",
  "_codecs.encode",
  "builtins.bytes",
];

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
