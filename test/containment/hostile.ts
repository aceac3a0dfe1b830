/** What may be thrown: circles, getters and proxies that throw, what is no error, what is very large. */

const boom = (): never => {
  throw new RangeError("do not look");
};
/** Makes each anew: some change when they are thrown. */
export const hostile: [what: string, thrown: () => unknown][] = [
  [
    "its own cause",
    () =>
      Object.assign(new Error("a"), {
        get cause() {
          return this;
        },
      }),
  ],
  [
    "a circle of two",
    () => {
      const a: any = new Error("a");
      a.cause = new Error("b", { cause: a });
      return a;
    },
  ],
  [
    "an aggregate of itself",
    () => {
      const a = new AggregateError([]);
      a.errors.push(a, new Error("b"));
      return a;
    },
  ],
  ["errors that are no list", () => Object.assign(new AggregateError([]), { errors: 5 })],
  ["a cause that throws", () => Object.defineProperty(new Error("a"), "cause", { get: boom })],
  ["a message that throws", () => Object.defineProperty(new Error("a"), "message", { get: boom })],
  ["a name that throws", () => Object.defineProperty(new Error("a"), "name", { get: boom })],
  ["a name that is no text", () => Object.assign(new Error("a"), { name: Symbol("n"), message: 5, code: {} })],
  ["errors that throw", () => Object.defineProperty(new AggregateError([]), "errors", { get: boom })],
  [
    "a proxy that says nothing",
    () => new Proxy(new Error("a"), { get: boom, has: boom, getPrototypeOf: boom, ownKeys: boom }),
  ],
  [
    "a revoked proxy",
    () => {
      const { proxy, revoke } = Proxy.revocable(new Error("a"), {});
      revoke();
      return proxy;
    },
  ],
  [
    "a long chain",
    () => Array.from({ length: 50_000 }).reduce<Error>((cause, _, i) => new Error(`${i}`, { cause }), new Error("end")),
  ],
  ["a function", () => boom],
  ["nothing", () => undefined],
  ["a symbol", () => Symbol("s")],
  ["an object without a prototype", () => Object.create(null)],
  ["a very long message", () => new Error("x".repeat(10_000_000))],
];
