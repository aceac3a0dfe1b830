import vm from "node:vm";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as errors from "./errors.ts";
import { errorsIn, Failure, fromFailure, isInstance, messageOf, tamed, toFailure } from "./failure.ts";

const where = { run: "r1", step: "charge", slot: 3, attempt: 2 };
const cause = new TypeError("cards is not iterable", { cause: new Error("the root of it") });

/** One of every class that errors.ts exports. A class without a line here fails the first test. */
const SPECIMENS: Record<string, Error> = {
  StepError: new errors.StepError(where, { cents: 5 }, cause),
  TimeoutError: new errors.TimeoutError("heartbeat", 3000, where),
  DeclaredError: new errors.DeclaredError("CardDeclined", { code: "51" }),
  ValidationError: new errors.ValidationError({
    gate: "lint",
    level: 1,
    command: "npm run lint",
    exitCode: 2,
    stdout: "out",
    stderr: "err",
  }),
  WorkflowCancelledError: new errors.WorkflowCancelledError("r1", "no longer wanted"),
  WorkflowTerminatedError: new errors.WorkflowTerminatedError("r1", "no longer wanted"),
  ChildError: new errors.ChildError({ run: "r1", slot: 2, child: "r1-2", workflow: "shipment" }, cause),
  ForbiddenInQueryError: new errors.ForbiddenInQueryError("w.random()", "r1"),
  SignalRefusedError: new errors.SignalRefusedError("r1", "approve", "it has none.", { cause }),
  UpdateRefusedError: new errors.UpdateRefusedError("r1", "raise", "only upwards", { cause }),
  QueryFailedError: new errors.QueryFailedError("r1", "status", "no idea", { cause }),
  QueryUnansweredError: new errors.QueryUnansweredError("r1", "status", 5_000),
  RunNotRetriedError: new errors.RunNotRetriedError("r1", "it is not over"),
  RunStillGoingError: new errors.RunStillGoingError("r1"),
  StepCancelledError: new errors.StepCancelledError(where, "no longer wanted"),
  WorkflowFailedError: new errors.WorkflowFailedError("r1", cause),
  UnhandledRejectionError: new errors.UnhandledRejectionError("r1", new Error("boom"), 2),
  UntrackedBranchError: new errors.UntrackedBranchError("r1", "w.race()", ["approve"]),
  WorkerLostError: new errors.WorkerLostError(where, 3),
  SlotAbandonedError: new errors.SlotAbandonedError(where),
  CircuitOpenError: new errors.CircuitOpenError("stripe", "charge"),
  NonDeterminismError: new errors.NonDeterminismError("r1", 4, { step: "a" }, { step: "b" }),
  ForbiddenInWorkflowError: new errors.ForbiddenInWorkflowError("Date.now()", "w.now()"),
  StalledError: new errors.StalledError("r1", "it waits for nothing the run can give it."),
  InvariantError: new errors.InvariantError("slot R1", "it has ended twice", { run: "r1", slot: 3 }),
  RunNotFoundError: new errors.RunNotFoundError("r1", "dev"),
  RunAlreadyExistsError: new errors.RunAlreadyExistsError("r1"),
  RunParkedError: new errors.RunParkedError("r1", "it is stalled."),
  RunClosedError: new errors.RunClosedError("r1", "completed"),
  UnknownWorkflowError: new errors.UnknownWorkflowError("r1", "order", 2),
  InvalidInputError: new errors.InvalidInputError('step "charge"', "lines[3].cents", "expected int", where),
  InvalidOutputError: new errors.InvalidOutputError('step "charge"', "receiptId", "expected string", where),
  MalformedMessageError: new errors.MalformedMessageError("dev.inbox.0.r1 @ 7", "slot", "expected int"),
  CallTimeoutError: new errors.CallTimeoutError('signal "go" of run r1', 30_000, "It is stored."),
  MessageTooLargeError: new errors.MessageTooLargeError("an append to dev.inbox.0.r1", 300_000_000),
  WrongLastSequenceError: new errors.WrongLastSequenceError("dev.journal.0.r1", 41),
  LogUnavailableError: new errors.LogUnavailableError("append to dev.inbox.0.r1", "time-out", { cause }),
  LogRefusedError: new errors.LogRefusedError("append", 10077, "maximum bytes exceeded"),
  PermissionDeniedError: new errors.PermissionDeniedError("an append to dev.inbox.0.r1", {
    operation: "publish",
    subject: "dev.inbox.0.r1",
    needed: "dev.inbox.>",
  }),
  PartitionMismatchError: new errors.PartitionMismatchError("dev", 8, 16),
  NamespaceExistsError: new errors.NamespaceExistsError("shop", "it has 16 partitions"),
  NamespaceNotFoundError: new errors.NamespaceNotFoundError("shpo"),
  ServerTooOldError: new errors.ServerTooOldError("2.11.0", "2.12.0"),
  NotRunningError: new errors.NotRunningError("The worker", "stopped"),
  RemoteError: new errors.RemoteError({ name: "PaymentError", code: "E42", message: "no", data: { data: 1, n: 2 } }),
};

/** As it arrives: written, sent, read. */
const trip = (thrown: unknown): Error => fromFailure(Failure.parse(JSON.parse(JSON.stringify(toFailure(thrown)))));

/** Everything people and programs can see of an error. */
function facets(error: Error): unknown {
  const { name, message, stack, cause } = error;
  return {
    class: error.constructor,
    own: { ...error },
    name,
    message,
    stack,
    ...(cause ? { cause: facets(cause as Error) } : {}),
  };
}

describe("an error that crosses the bus", () => {
  it("has a specimen here for every exported class", () => {
    const exported = Object.keys(errors).filter((name) => name !== "StepstreamError");
    expect(Object.keys(SPECIMENS).sort()).toEqual(exported.sort());
    for (const [name, error] of Object.entries(SPECIMENS)) expect(error.constructor.name).toBe(name);
  });

  it.each(Object.entries(SPECIMENS))("keeps class, code, message, stack and own fields: %s", (_name, error) => {
    const { cause: _, ...sent } = facets(error) as { cause?: unknown };
    const { cause: __, ...arrived } = facets(trip(error)) as { cause?: unknown };
    expect(arrived).toEqual(sent);
    expect(trip(error)).toBeInstanceOf(error.constructor);
  });

  it.each(Object.entries(SPECIMENS))("is the same after a second trip (F1): %s", (_name, error) => {
    expect(toFailure(trip(error))).toEqual(toFailure(error));
  });

  it("keeps the chain of causes", () => {
    const step = trip(SPECIMENS.StepError) as errors.StepError;
    const [first, root] = [step.cause as Error, (step.cause as Error).cause as Error];
    expect([first.name, first.message, first.stack]).toEqual(["TypeError", "cards is not iterable", cause.stack]);
    expect([root.name, root.message]).toEqual(["Error", "the root of it"]);
  });

  it("keeps the errors of an AggregateError", () => {
    const both = trip(new AggregateError([new Error("a"), new errors.RunNotFoundError("r1", "dev")], "none succeeded"));
    expect(both).toBeInstanceOf(AggregateError);
    expect(both.message).toBe("none succeeded");
    expect((both as AggregateError).errors.map((e) => [e.constructor.name, e.message])).toEqual([
      ["RemoteError", "a"],
      ["RunNotFoundError", 'There is no run r1 in namespace "dev".'],
    ]);
  });

  it("keeps what it carries: numbers for codes, errors in fields, bigints as text", () => {
    const error = Object.assign(new Error("x"), { code: 14, first: new Error("y"), n: 10n, s: Symbol("s"), f() {} });
    expect(toFailure(error)).toMatchObject({ code: "ERROR", data: { code: 14, first: { message: "y" }, n: "10" } });
    expect(Object.keys(toFailure(error).data!).sort()).toEqual(["code", "first", "n"]);
  });

  it("is a RemoteError under its own name where the class is not known here", () => {
    class PaymentError extends Error {
      override name = "PaymentError";
      code = "CARD_STOLEN";
      card = "4242";
    }
    const arrived = trip(new PaymentError("stolen"));
    expect(arrived).toBeInstanceOf(errors.RemoteError);
    expect(arrived).toMatchObject({
      name: "PaymentError",
      code: "CARD_STOLEN",
      message: "stolen",
      data: { card: "4242" },
    });
  });

  it.each([
    ["a TimeoutError of Python", { name: "TimeoutError", code: "ERROR", message: "timed out" }],
    [
      "our code under a name of the sender's",
      { name: "MyError", code: "TIMEOUT", message: "timed out", data: { detail: {} } },
    ],
  ])("does not take %s for one of ours", (_what, failure) => {
    expect(fromFailure(failure)).toBeInstanceOf(errors.RemoteError);
  });

  it("takes a declared error from another language", () => {
    const declared = {
      name: "DeclaredError",
      code: "CardDeclined",
      message: "declined",
      data: { data: { code: "51" } },
    };
    expect(fromFailure(declared)).toMatchObject({
      code: "CardDeclined",
      data: { code: "51" },
      retry: "never",
      detail: {},
    });
    expect(fromFailure(declared)).toBeInstanceOf(errors.DeclaredError);
  });

  it("cannot be given another prototype by its data", () => {
    const data = JSON.parse('{"detail":{},"__proto__":{"polluted":true},"message":"other"}');
    const error = fromFailure({ name: "TimeoutError", code: "TIMEOUT", message: "late", data });
    expect(error).toBeInstanceOf(errors.TimeoutError);
    expect((error as any).polluted).toBeUndefined();
    expect(error.message).toBe("late");
  });
});

describe("whatever is thrown", () => {
  const self: any = new Error("circular");
  self.cause = self;
  self.me = self;
  self.list = [self, { self }];
  const loop = new Error("a", { cause: new Error("b") });
  (loop.cause as Error).cause = loop;
  const wild = Array.from({ length: 300 }, (_, i) => new AggregateError([new Error(`${i}`)], "many"));
  for (const error of wild) error.errors.push(...wild);
  const ring: any = { a: 1 };
  ring.ring = ring;

  it.each<[string, unknown, string]>([
    ["undefined", undefined, "undefined"],
    ["null", null, "null"],
    ["a string", "boom", "boom"],
    ["an empty string", "", "an empty string was thrown"],
    ["a number", 42, "42"],
    ["a bigint", 10n, "10"],
    ["a symbol", Symbol("s"), "Symbol(s)"],
    ["an object", { reason: "x" }, '{"reason":"x"}'],
    ["an object with a message", { message: "x", n: 1 }, "x"],
    ["a circular object", ring, "[object]"],
    ["an object without a prototype, circular", Object.assign(Object.create(null), { ring }), "[object]"],
    ["an error without a message", new RangeError(""), "RangeError"],
    ["an error whose message is none", Object.assign(new Error("x"), { message: 5 }), "5"],
    ["an error of another realm", vm.runInNewContext("new TypeError('far')"), "far"],
    ["an error that is its own cause", self, "circular"],
    ["two errors that cause each other", loop, "a"],
    ["errors in errors in errors", wild[0], "many"],
    [
      "a getter that throws",
      Object.defineProperty(new Error("x"), "bad", {
        enumerable: true,
        get() {
          throw 1;
        },
      }),
      "Something was thrown that cannot be read.",
    ],
    [
      "a proxy that throws",
      new Proxy(
        {},
        {
          has() {
            throw 1;
          },
        },
      ),
      "Something was thrown that cannot be read.",
    ],
  ])("becomes a failure with its message: %s", (_what, thrown, message) => {
    const failure = toFailure(thrown);
    expect(failure.message).toBe(message);
    expect(Failure.parse(JSON.parse(JSON.stringify(failure)))).toEqual(failure);
    expect(JSON.stringify(failure).length).toBeLessThan(1_000_000);
    expect(toFailure(trip(thrown))).toEqual(failure);
  });

  it("becomes a failure that is the same after a second trip (F1)", () => {
    const thing = fc.oneof(
      fc.anything({ withBigInt: true, withNullPrototype: true, withDate: true, withMap: true, withObjectString: true }),
      fc
        .tuple(fc.string(), fc.anything(), fc.dictionary(fc.string(), fc.anything()))
        .map(([message, cause, own]) => Object.assign(new Error(message, { cause }), own)),
    );
    fc.assert(
      fc.property(thing, (thrown) => {
        const failure = toFailure(thrown);
        const sent = JSON.parse(JSON.stringify(failure));
        expect(toFailure(fromFailure(Failure.parse(sent)))).toEqual(sent);
      }),
    );
  });
});

describe("what is thrown by hostile code", () => {
  const circle = new Error("circle");
  circle.cause = circle;
  const [a, b] = [new Error("a"), new Error("b")];
  [a.cause, b.cause] = [b, a];
  const group = new AggregateError([], "group");
  group.errors.push(group, new Error("inner"));
  const getter = (key: string) =>
    Object.defineProperty(new Error("getter"), key, {
      get() {
        throw new Error("no");
      },
    });
  const refuse = () => {
    throw new Error("no");
  };
  const traps = { get: refuse, getPrototypeOf: refuse, ownKeys: refuse, has: refuse, getOwnPropertyDescriptor: refuse };
  const revoked = Proxy.revocable(new Error("gone"), {});
  revoked.revoke();
  let chain = new Error("the root");
  for (let i = 0; i < 100_000; i++) chain = new Error(`link ${i}`, { cause: chain });
  const hostile: [string, unknown][] = [
    ["its own cause", circle],
    ["two in a circle", a],
    ["a group that holds itself", group],
    ...["name", "message", "stack", "code", "cause", "errors"].map((key): [string, unknown] => [
      `a getter for ${key} that throws`,
      getter(key),
    ]),
    ["a proxy that refuses everything", new Proxy(new Error("x"), traps)],
    ["a revoked proxy", revoked.proxy],
    ["a chain of 100,000", chain],
    ["undefined", undefined],
    ["null", null],
    ["a symbol", Symbol("s")],
    ["a function", () => {}],
    ["an object without a prototype", Object.create(null)],
  ];

  it.each(hostile)("is read without harm: %s", (_what, thrown) => {
    const found = errorsIn(thrown);
    expect(found[0]).toBe(thrown);
    expect(found.length).toBeLessThanOrEqual(1_000);
    expect(new Set(found).size).toBe(found.length);
    expect(typeof isInstance(thrown, Error)).toBe("boolean");
    expect(messageOf(thrown)).toEqual(expect.stringMatching(/./));
    const tame = tamed(thrown);
    expect(tame).toBeInstanceOf(Error);
    // Looks through name, message, stack, code and all causes, as a logger does.
    expect(Failure.safeParse(JSON.parse(JSON.stringify(toFailure(tame)))).success).toBe(true);
    let depth = 0;
    for (let at: unknown = tame; at instanceof Error && depth < 100; at = at.cause) depth++;
    expect(depth).toBeLessThan(100);
    expect(tamed(tame)).toBe(tame);
  });

  it("is found with everything that led to it, nearest first, each once", () => {
    const root = new Error("root");
    const left = new Error("left", { cause: root });
    const both = new AggregateError([left, root], "both", { cause: circle });
    expect(errorsIn(both)).toEqual([both, circle, left, root]);
    expect(errorsIn(a)).toEqual([a, b]);
    expect(errorsIn(chain)).toHaveLength(1_000);
    expect(isInstance(revoked.proxy, Error)).toBe(false);
    expect(isInstance(both, AggregateError)).toBe(true);
  });

  it("is left as it is where it does no harm, and else copied", () => {
    const fine = new TypeError("fine", { cause: new Error("why") });
    expect(tamed(fine)).toBe(fine);
    expect(tamed(circle)).not.toBe(circle);
    expect(tamed(circle).message).toBe("circle");
    expect(messageOf(circle)).toBe("circle");
    expect(messageOf("text")).toBe("text");
  });
});
