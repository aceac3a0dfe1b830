/** Values that no workflow code should pass, by name, so that a failing program can be printed and shrunk. */
import { z } from "zod";

const cyclic = () => {
  const value: Record<string, unknown> = { n: 1 };
  value.self = value;
  return value;
};
const getter = () =>
  Object.defineProperty({}, "n", {
    enumerable: true,
    get() {
      throw new Error("a getter");
    },
  });
const proxy = () =>
  new Proxy(
    {},
    {
      get() {
        throw new Error("a proxy");
      },
      ownKeys() {
        throw new Error("a proxy");
      },
      getPrototypeOf() {
        throw new Error("a proxy");
      },
    },
  );
const deep = () => {
  let value: unknown = 1;
  for (let i = 0; i < 5_000; i++) value = [value];
  return value;
};

/** Each call makes a new one: replays must not share what an earlier call has changed. */
export const values: Readonly<Record<string, () => unknown>> = {
  five: () => 5,
  zero: () => 0,
  minus: () => -7,
  half: () => 0.5,
  huge: () => Number.MAX_VALUE,
  safe: () => Number.MAX_SAFE_INTEGER,
  nan: () => Number.NaN,
  infinite: () => Number.POSITIVE_INFINITY,
  short: () => "20ms",
  second: () => "1s",
  nonsense: () => "5x",
  empty: () => "",
  long: () => "x".repeat(50_000),
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  object: () => ({ n: 1 }),
  list: () => [1, "a", null],
  cyclic,
  getter,
  proxy,
  deep,
  symbol: () => Symbol("s"),
  bigint: () => 12n,
  function: () => () => 1,
  rejected: () => {
    const rejection = Promise.reject(new Error("a promise"));
    rejection.catch(() => {});
    return rejection;
  },
  resolved: () => Promise.resolve(1),
  thenable: () => ({
    // biome-ignore lint/suspicious/noThenProperty: that is the point.
    then() {
      throw new Error("a then");
    },
  }),
  date: () => new Date(0),
  noDate: () => new Date(Number.NaN),
  map: () => new Map([[1, 2]]),
  bytes: () => new Uint8Array([1, 2]),
  toJson: () => ({
    toJSON() {
      throw new Error("a toJSON");
    },
  }),
  frozen: () => Object.freeze({ n: Object.freeze([1]) }),
  noPrototype: () => Object.assign(Object.create(null), { n: 1 }),
  pollution: () => JSON.parse('{"__proto__":{"polluted":true},"constructor":1}'),
};

const cycle = () => {
  const error = new Error("a cycle") as Error & { cause?: unknown };
  error.cause = error;
  return error;
};
const pair = () => {
  const one = new Error("one") as Error & { cause?: unknown };
  one.cause = new Error("two", { cause: one });
  return one;
};

/** What may be thrown, besides all of the above. */
export const thrown: Readonly<Record<string, () => unknown>> = {
  ...values,
  error: () => new Error("plain"),
  cycle,
  pair,
  aggregateCycle: () => {
    const errors: unknown[] = [];
    const error = new AggregateError(errors, "an aggregate");
    errors.push(error, cycle());
    return error;
  },
  errorGetter: () =>
    Object.defineProperty(new Error("x"), "message", {
      get() {
        throw new Error("a message");
      },
    }),
  causeGetter: () =>
    Object.defineProperty(new Error("x"), "cause", {
      get() {
        throw new Error("a cause");
      },
    }),
  frozenError: () => Object.freeze(new Error("frozen")),
  errorProxy: () =>
    new Proxy(new Error("x"), {
      get() {
        throw new Error("an error's proxy");
      },
    }),
  looksCancelled: () => Object.assign(new Error("x"), { code: "WORKFLOW_CANCELLED", name: "WorkflowCancelledError" }),
};

export const schemas: Readonly<Record<string, () => z.ZodType>> = {
  any: () => z.any(),
  number: () => z.number(),
  never: () => z.never(),
  throws: () =>
    z.any().refine(() => {
      throw new Error("a refinement");
    }),
  throwsProxy: () =>
    z.any().transform(() => {
      throw proxy();
    }),
  async: () => z.any().refine(async () => true),
  asyncTransform: () => z.any().transform(async (value) => value),
  transforms: () => z.any().transform((value) => String(typeof value)),
  date: () => z.date(),
  optional: () => z.any().optional(),
  caught: () => z.number().catch(1),
};
