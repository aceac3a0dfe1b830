import vm from "node:vm";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pathOf } from "./codec.ts";
import { StepError } from "./errors.ts";
import { MAX_DEPTH } from "./limits.ts";
import { decodeValue, encodeValue, UnsendableError } from "./value-codec.ts";

const wire = (value: unknown): string => JSON.stringify(encodeValue(value)) ?? "";
const trip = (value: unknown): unknown => {
  const text = wire(value);
  return text === "" ? undefined : decodeValue(JSON.parse(text));
};
const refusal = (fn: () => unknown): string => {
  try {
    fn();
    return "none";
  } catch (error) {
    return `${pathOf((error as UnsendableError).path) || "-"}: ${(error as Error).message}`;
  }
};
const deep = (levels: number): unknown => {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = { a: value };
  return value;
};
class Point {
  x = 1;
}
class Stamp extends Date {}
const bytes = new Uint8Array([1, 2, 250]);

describe("a value", () => {
  it.each<[string, unknown]>([
    ["null", null],
    ["nothing", undefined],
    ["a Date", new Date("2026-11-26T00:00:00.000Z")],
    ["a Date of the far future", new Date(8.64e15)],
    ["a Date before our era", new Date(-8.64e15)],
    ["a bigint", -12345678901234567890n],
    [
      "a Map with keys of any kind",
      new Map<unknown, unknown>([
        [{ a: 1 }, new Date(0)],
        [1, undefined],
        ["k", new Map([[1n, 2]])],
      ]),
    ],
    ["a Set", new Set([1, "a", undefined, new Set([null])])],
    ["a Uint8Array", bytes],
    ["a part of a Uint8Array", new Uint8Array(bytes.buffer, 1, 1)],
    ["an empty Uint8Array", new Uint8Array()],
    ["a Buffer", Buffer.from("grüße")],
    ["an ArrayBuffer", new Uint8Array([7, 8]).buffer],
    ["NaN", Number.NaN],
    ["both infinities", [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]],
    ["minus zero", { a: -0 }],
    ["undefined in an array", [1, undefined, 2]],
    ["an object with a $type", { $type: "Date", value: "2026-11-26T00:00:00.000Z" }],
    ["an object with a $type that is an object", { $type: { $type: "Object", value: {} }, at: new Date(1) }],
    ["a key __proto__", JSON.parse('{"__proto__":{"a":1},"b":{"__proto__":[]}}')],
    [
      "a key __proto__ beside a Date",
      Object.defineProperty({ at: new Date(0) }, "__proto__", { value: { d: new Date(1) }, enumerable: true }),
    ],
    ["half of a surrogate pair", "\ud800"],
    ["a lot of levels", deep(MAX_DEPTH - 2)],
  ])("arrives as it was sent: %s (E1)", (_what, value) => {
    expect(trip(value)).toStrictEqual(value);
    expect(trip({ in: [value] })).toStrictEqual({ in: [value] });
  });

  it("arrives of the same class: a Buffer, a Uint8Array, an ArrayBuffer", () => {
    const sent = [Buffer.from("a"), new Uint8Array(1), new ArrayBuffer(1)];
    const classes = (list: unknown[]) => list.map((item) => (item as object).constructor.name);
    expect(classes(trip(sent) as unknown[])).toEqual(classes(sent));
  });

  it.each<[string, unknown, string]>([
    ["a Date", new Date(0), '{"$type":"Date","value":"1970-01-01T00:00:00.000Z"}'],
    ["a bigint", 12n, '{"$type":"BigInt","value":"12"}'],
    ["a Map", new Map([["a", 1]]), '{"$type":"Map","value":[["a",1]]}'],
    ["a Set", new Set(["a"]), '{"$type":"Set","value":["a"]}'],
    ["bytes", bytes, '{"$type":"Bytes","value":"AQL6"}'],
    ["a Buffer", Buffer.from([1]), '{"$type":"Bytes","value":"AQ==","as":"Buffer"}'],
    ["a number that is none", Number.NaN, '{"$type":"Number","value":"NaN"}'],
    ["undefined in an array", [undefined], '[{"$type":"Undefined"}]'],
    ["an object with a $type", { $type: "car" }, '{"$type":"Object","value":{"$type":"car"}}'],
    ["keys that are undefined, left out", { a: undefined, b: 1 }, '{"b":1}'],
  ])("is on the wire: %s", (_what, value, text) => expect(wire(value)).toBe(text));

  it("may hold errors, which arrive as errors of steps do", () => {
    const failed = new StepError(
      { run: "r", step: "s", slot: 1, attempt: 2 },
      { at: new Date(0) },
      new RangeError("no"),
    );
    const [outcome] = trip([{ status: "rejected", reason: failed }]) as [{ reason: StepError }];
    expect(outcome.reason).toBeInstanceOf(StepError);
    expect(outcome.reason).toMatchObject({ message: failed.message, step: "s", input: { at: new Date(0) } });
    expect(outcome.reason.cause).toMatchObject({ name: "RangeError", message: "no" });
    expect(JSON.parse(wire([outcome]))).toEqual(JSON.parse(wire([{ status: "rejected", reason: failed }])));
  });

  it("travels as it is, without a copy, if it is plain JSON (E2)", () => {
    const value = { a: [1, "x", null, { b: true }], c: Object.create(null) };
    expect(encodeValue(value)).toBe(value);
    const json = JSON.parse(JSON.stringify(value));
    expect(decodeValue(json)).toBe(json);
  });

  it("keeps an object of a foreign writer whose $type is none of ours", () => {
    for (const json of [
      { $type: "My.Type, My", a: 1 },
      { $type: 7, value: 1 },
      { $type: "Date" },
      { $type: "toString", value: 1 },
    ])
      expect(decodeValue(json)).toBe(json);
  });

  it("is of another realm, as test runners make them", () => {
    const foreign = vm.runInNewContext("({ at: new Date(5), m: new Map([[1, [2]]]), list: [1n] })");
    expect(trip(foreign)).toEqual({ at: new Date(5), m: new Map([[1, [2]]]), list: [1n] });
  });

  const loop: { self?: unknown } = {};
  loop.self = [loop];
  it.each<[string, () => unknown, string]>([
    ["a function", () => ({ a: [() => 1] }), "a[0]: a function cannot be sent"],
    ["a symbol", () => ({ a: Symbol("s") }), "a: a symbol cannot be sent"],
    ["a key that is a symbol", () => ({ a: { [Symbol("s")]: 1 } }), "a: a key that is a symbol cannot be sent"],
    [
      "an instance of a class",
      () => ({ p: new Point() }),
      "p: an instance of Point cannot be sent. Send a plain object with what it holds",
    ],
    [
      "an instance with a toJSON",
      () => [new URL("http://a.b")],
      "[0]: an instance of URL cannot be sent. Send a plain object with what it holds",
    ],
    ["an object with a toJSON", () => ({ toJSON: () => 1 }), "toJSON: a function cannot be sent"],
    [
      "a class that extends Date",
      () => new Stamp(),
      "-: an instance of Stamp cannot be sent. Send a plain object with what it holds",
    ],
    [
      "another typed array",
      () => ({ f: new Float64Array(1) }),
      "f: an instance of Float64Array cannot be sent. Send a plain object with what it holds",
    ],
    [
      "a promise",
      () => [Promise.resolve()],
      "[0]: an instance of Promise cannot be sent. Send a plain object with what it holds",
    ],
    [
      "a WeakMap",
      () => new WeakMap(),
      "-: an instance of WeakMap cannot be sent. Send a plain object with what it holds",
    ],
    ["a Proxy", () => ({ p: new Proxy({}, {}) }), "p: a Proxy cannot be sent. Send a copy of what it stands for"],
    ["an invalid Date", () => ({ at: new Date("x") }), "at: an invalid Date cannot be sent"],
    [
      "an array with a hole",
      () => ({ list: Object.assign([1], { 2: 3 }) }),
      "list[1]: an array with a hole cannot be sent. Put undefined or null there",
    ],
    ["what contains itself", () => loop, "self[0]: it contains itself"],
    [
      "a getter that throws",
      () => ({
        get a() {
          throw new Error("no");
        },
      }),
      "a: it could not be read, because a getter threw",
    ],
    [
      "an object made of another",
      () => Object.create({ a: 1 }),
      "-: an object with a prototype of its own cannot be sent. Send a plain object with what it holds",
    ],
    ["a function in a Map", () => new Map([["k", () => 1]]), "[0][1]: a function cannot be sent"],
    [
      "more levels than are allowed",
      () => deep(MAX_DEPTH + 1),
      `${"a.".repeat(50)}…${".a".repeat(50).slice(1)}: it is nested more than ${MAX_DEPTH} levels deep`,
    ],
  ])("is refused with its path: %s (E4)", (_what, make, why) => expect(refusal(() => encodeValue(make()))).toBe(why));

  it("never overflows the stack, however deep it is (E4)", () => {
    for (const make of [
      deep,
      (n: number) => {
        let v: unknown = [];
        for (let i = 0; i < n; i++) v = [v];
        return v;
      },
    ]) {
      expect(refusal(() => encodeValue(make(100_000)))).toMatch(/nested more than/);
      expect(refusal(() => decodeValue(make(100_000)))).toMatch(/nested more than/);
    }
  });

  it.each<[string, unknown, string]>([
    ["a Date", { a: { $type: "Date", value: "soon" } }, `a: its "$type" is "Date", but its value is not one`],
    ["a bigint", [{ $type: "BigInt", value: "1.5" }], `[0]: its "$type" is "BigInt", but its value is not one`],
    ["a Map", { $type: "Map", value: [[1]] }, `-: its "$type" is "Map", but its value is not one`],
    ["bytes", { $type: "Bytes", value: "a!" }, `-: its "$type" is "Bytes", but its value is not one`],
    ["an object", { $type: "Object", value: [] }, `-: its "$type" is "Object", but its value is not one`],
  ])("is refused where it is read, if its tag does not fit: %s", (_what, json, why) =>
    expect(refusal(() => decodeValue(json))).toBe(why),
  );
});

describe("whatever value there is", () => {
  const leaf = fc.oneof(
    fc.jsonValue({ maxDepth: 1 }),
    fc.date({ noInvalidDate: true }),
    fc.bigInt(),
    fc.double(),
    fc.uint8Array({ maxLength: 5 }),
    fc.constant(undefined),
  );
  const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(
        fc.oneof(fc.constantFrom("$type", "value", "as", "__proto__", "toJSON"), fc.string()),
        tie("value").filter((v) => v !== undefined),
        { maxKeys: 4, noNullPrototype: true },
      ),
      fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 3 }).map((entries) => new Map(entries)),
      fc.array(tie("value"), { maxLength: 3 }).map((items) => new Set(items)),
      fc
        .constantFrom("Date", "Map", "Object", "Number", "Undefined")
        .chain(($type) => tie("value").map((value) => ({ $type, value: value ?? null }))),
    ),
  }));

  it("arrives as it was sent, and is written the same way again (E1)", () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(trip(value)).toStrictEqual(value);
        expect(wire(trip(value))).toBe(wire(value));
      }),
      { numRuns: 500 },
    );
  });

  it("is sent or refused, never with another error (E4)", () => {
    fc.assert(
      fc.property(
        fc.anything({
          withBigInt: true,
          withBoxedValues: true,
          withDate: true,
          withMap: true,
          withSet: true,
          withNullPrototype: true,
          withSparseArray: true,
          withTypedArray: true,
          withObjectString: true,
        }),
        (value) => {
          try {
            const text = wire(value);
            if (text !== "") decodeValue(JSON.parse(text));
          } catch (error) {
            expect((error as Error).constructor.name).toBe("UnsendableError");
          }
        },
      ),
    );
  });
});

describe("an object with many keys", () => {
  const withKeys = (n: number) => Object.fromEntries(Array.from({ length: n }, (_, i) => [`k${i}`, i]));

  it("is sent with 100,000, and refused with its path beyond, by the sender and the receiver", () => {
    const most = { a: [withKeys(100_000)] };
    expect(encodeValue(most)).toBe(most);
    expect(decodeValue(most)).toBe(most);
    const more = { a: [withKeys(100_001)] };
    for (const check of [encodeValue, decodeValue, (value: object) => encodeValue({ ...value, at: new Date(0) })]) {
      let refused: unknown;
      try {
        check(more);
      } catch (error) {
        refused = error;
      }
      expect(refused).toBeInstanceOf(UnsendableError);
      expect(refused).toMatchObject({ path: ["a", 0], message: expect.stringContaining("more than 100000 keys") });
    }
  });
});
