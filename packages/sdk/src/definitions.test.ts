import { describe, expect, it } from "vitest";
import { z } from "zod";
import { exponential, fixed } from "./backoff.ts";
import { pipeline } from "./pipeline.ts";
import { step } from "./step.ts";
import { workflow } from "./workflow.ts";

const any = { input: z.any(), output: z.any() };

describe("a step's definition", () => {
  it("waits for nothing for ever, if it says nothing else", () => {
    const { retry, timeout, concurrency, heartbeatMs, breaker } = step("s", any);
    expect(timeout).toEqual({ attemptMs: 300_000, totalMs: 86_400_000 });
    expect(retry).toEqual({ maxAttempts: 5, initialMs: 200, factor: 2, maxMs: 30_000, jitter: "full" });
    expect({ concurrency, heartbeatMs, breaker }).toEqual({
      concurrency: 50,
      heartbeatMs: undefined,
      breaker: undefined,
    });
  });

  it("takes durations with units, and names its breaker after itself", () => {
    const { retry, timeout, heartbeatMs, breaker } = step("s", {
      ...any,
      retry: { maxAttempts: 2, backoff: exponential({ initial: "1s", max: "1m" }) },
      timeout: { attempt: "1.5s", total: "2m", queue: "3h" },
      heartbeat: "4s",
      breaker: { failures: 5, cooldown: "10s" },
    });
    expect(retry).toMatchObject({ maxAttempts: 2, initialMs: 1_000, maxMs: 60_000 });
    expect(timeout).toEqual({ attemptMs: 1_500, totalMs: 120_000, queueMs: 10_800_000 });
    expect(heartbeatMs).toBe(4_000);
    expect(breaker).toEqual({ name: "s", failures: 5, cooldownMs: 10_000 });
  });

  const run = async () => 1;
  const js = (value: unknown) => value as never;
  const ofStep = (more: object) => () => step("s", { ...any, ...more });
  it.each<[string, () => unknown]>([
    ['Invalid name of a step "a.b". Use 1 to 64 of A-Z a-z 0-9 _ -.', () => step("a.b", any)],
    [
      `Invalid name of a step "__proto__". Use another name: this one means an object's prototype.`,
      () => step("__proto__", any),
    ],
    [
      `Invalid name of a signal of workflow "w" "__proto__". Use another name: this one means an object's prototype.`,
      () => workflow("w", { ...any, signals: JSON.parse('{"__proto__":1}') }, run),
    ],
    ["Invalid name of a step undefined. Use 1 to 64 of A-Z a-z 0-9 _ -.", () => step(js(undefined), any)],
    ['Invalid definition of step "s" undefined. Use an object.', () => step("s", js(undefined))],
    ['Invalid input of step "s": it is missing. Use a schema such as z.object({ … }).', () => step("s", js({}))],
    [
      'Invalid output of step "s": it is not a schema of zod 4. Use a schema such as z.object({ … }).',
      ofStep({ output: {} }),
    ],
    [
      'Invalid input of step "s" at on: a value of z.function() cannot be sent. Use a schema of plain data.',
      ofStep({ input: z.object({ on: z.function() }) }),
    ],
    [
      'Invalid output of step "s" at a: async schemas are not supported. Check in a step what takes time to check.',
      ofStep({ output: z.object({ a: z.string().refine(async () => true) }) }),
    ],
    [
      'Invalid code of an error of step "s" "Card.Declined". Use a letter, then up to 63 of A-Z a-z 0-9 _.',
      ofStep({ errors: { "Card.Declined": z.any() } }),
    ],
    [
      'Invalid error Declined of step "s": it is not a schema of zod 4. Use a schema such as z.object({ … }).',
      ofStep({ errors: { Declined: "x" } }),
    ],
    ['Invalid retry.maxAttempts of step "s" 0. Use a whole number from 1.', ofStep({ retry: { maxAttempts: 0 } })],
    ['Invalid retry.maxAttempts of step "s" 2.5. Use a whole number from 1.', ofStep({ retry: { maxAttempts: 2.5 } })],
    [
      'Invalid retry.maxAttempts of step "s" NaN. Use a whole number from 1.',
      ofStep({ retry: { maxAttempts: Number.NaN } }),
    ],
    ['Invalid retry.maxAttempts of step "s" "3". Use a whole number from 1.', ofStep({ retry: { maxAttempts: "3" } })],
    ['Invalid retry of step "s" 3. Use an object.', ofStep({ retry: 3 })],
    ['Invalid retry.retryIf of step "s" true. Use a function.', ofStep({ retry: { retryIf: true } })],
    [
      'Invalid retry.backoff.factor of step "s" 0.5. Use a number from 1.',
      ofStep({ retry: { backoff: { initialMs: 1, factor: 0.5, maxMs: 1, jitter: "full" } } }),
    ],
    [
      'Invalid retry.backoff.jitter of step "s" "some". Use "full" or "equal" or "none".',
      ofStep({ retry: { backoff: { initialMs: 1, factor: 1, maxMs: 1, jitter: "some" } } }),
    ],
    [
      'Invalid retry.backoff.initialMs of step "s" -1. Use a number of milliseconds, or a string such as "250ms", "10s", "5m", "1.5h", "30d".',
      ofStep({ retry: { backoff: { initialMs: -1, factor: 1, maxMs: 1, jitter: "full" } } }),
    ],
    [
      'Invalid retry.backoff of step "s" "1s". Use exponential({ … }), fixed(…), or { initialMs, factor, maxMs, jitter }.',
      ofStep({ retry: { backoff: "1s" } }),
    ],
    [
      'Invalid initial of a backoff -5. Use a number of milliseconds, or a string such as "250ms", "10s", "5m", "1.5h", "30d".',
      () => exponential({ initial: -5 }),
    ],
    ["Invalid backoff.factor NaN. Use a number from 1.", () => exponential({ factor: Number.NaN })],
    ['Invalid backoff.jitter "half". Use "full" or "equal" or "none".', () => exponential({ jitter: js("half") })],
    [
      'Invalid wait of a backoff "5". Use a number of milliseconds, or a string such as "250ms", "10s", "5m", "1.5h", "30d".',
      () => fixed(js("5")),
    ],
    ['Invalid concurrency of step "s" 0.5. Use a whole number from 1.', ofStep({ concurrency: 0.5 })],
    [
      'Invalid breaker.failures of step "s" 0. Use a whole number from 1.',
      ofStep({ breaker: { failures: 0, cooldown: 1 } }),
    ],
    [
      'Invalid breaker.cooldown of step "s" "30d". Use at most 2073600000 ms (24d).',
      ofStep({ breaker: { failures: 1, cooldown: "30d" } }),
    ],
    [
      'Invalid breaker.cooldown of step "s" undefined. Use a number of milliseconds, or a string such as "250ms", "10s", "5m", "1.5h", "30d".',
      ofStep({ breaker: { failures: 1 } }),
    ],
    [
      'Invalid breaker.name of step "s" "a b". Use 1 to 64 of A-Z a-z 0-9 _ -.',
      ofStep({ breaker: { failures: 1, cooldown: 1, name: "a b" } }),
    ],
    ['Invalid heartbeat of step "s" 0. Use at least 1 ms.', ofStep({ heartbeat: 0 })],
    ['Invalid heartbeat of step "s" "25d". Use at most 2073600000 ms (24d).', ofStep({ heartbeat: "25d" })],
    [
      'Invalid timeout.attempt of step "s" "5". Use a number of milliseconds, or a string such as "250ms", "10s", "5m", "1.5h", "30d".',
      ofStep({ timeout: { attempt: "5" } }),
    ],
    ['Invalid timeout.total of step "s" 0. Use at least 1 ms.', ofStep({ timeout: { total: 0 } })],
    [
      'Invalid timeout.queue of step "s" "87000d". Use at most "36525d", which is 100 years (3155760000000 ms).',
      ofStep({ timeout: { queue: "87000d" } }),
    ],
    ['Invalid name of a workflow "". Use 1 to 64 of A-Z a-z 0-9 _ -.', () => workflow("", any, run)],
    [
      `Invalid name of a workflow "_step". Use a name that does not begin with _: those are Stepstream's own.`,
      () => workflow("_step", any, run),
    ],
    ['Invalid version of workflow "w" 0. Use a whole number from 1.', () => workflow("w", { ...any, version: 0 }, run)],
    [
      'Invalid input of workflow "w": it is missing. Use a schema such as z.object({ … }).',
      () => workflow("w", js({ output: z.any() }), run),
    ],
    [
      'Invalid option "timeOut" of step "s". Use "input", "output", "errors", "retry", "timeout", "heartbeat", "concurrency", "breaker". Did you mean "timeout"?',
      ofStep({ timeOut: "5m" }),
    ],
    [
      'Invalid option "maxAttempt" of retry of step "s". Use "maxAttempts", "backoff", "retryIf". Did you mean "maxAttempts"?',
      ofStep({ retry: { maxAttempt: 3 } }),
    ],
    [
      'Invalid option "attempts" of timeout of step "s". Use "attempt", "total", "queue".',
      ofStep({ timeout: { attempts: "1s" } }),
    ],
    [
      'Invalid option "cooldownMs" of breaker of step "s". Use "failures", "cooldown", "name".',
      ofStep({ breaker: { failures: 1, cooldown: 1, cooldownMs: 1 } }),
    ],
    [
      'Invalid option "initialMs" of exponential. Use "initial", "factor", "max", "jitter".',
      () => exponential(js({ initialMs: 5 })),
    ],
    ['Invalid options of exponential "1s". Use an object.', () => exponential(js("1s"))],
    [
      'Invalid option "timeout" of workflow "w". Use "input", "output", "version", "signals", "queries", "updates".',
      () => workflow("w", js({ ...any, timeout: "1h" }), run),
    ],
    [
      'Invalid option "retry" of pipeline "p". Use "input", "output", "version".',
      () => pipeline("p", js({ ...any, retry: {} })),
    ],
    [
      'Invalid function of workflow "w": it is a generator. Use a function or an async function.',
      () =>
        workflow(
          "w",
          any,
          js(function* () {}),
        ),
    ],
    [
      'Invalid function of workflow "w": it is a generator. Use a function or an async function.',
      () =>
        workflow(
          "w",
          any,
          js(async function* () {}),
        ),
    ],
    [
      'Invalid function of workflow "w": it is a class. Use a function or an async function.',
      () => workflow("w", any, js(class {})),
    ],
    ['Invalid function of workflow "w" undefined. Use a function.', () => workflow("w", any, js(undefined))],
    [
      'Invalid name of a signal of workflow "w" "a.b". Use 1 to 64 of A-Z a-z 0-9 _ -.',
      () => workflow("w", { ...any, signals: { "a.b": z.any() } }, run),
    ],
    [
      'Invalid signal "go" of workflow "w": it is not a schema of zod 4. Use a schema such as z.object({ … }).',
      () => workflow("w", { ...any, signals: { go: js(1) } }, run),
    ],
    [
      'Invalid query "q" of workflow "w": it is not a schema of zod 4. Use a schema such as z.object({ … }).',
      () => workflow("w", { ...any, queries: { q: js({}) } }, run),
    ],
    [
      'Invalid input of query "q" of workflow "w": it is missing. Use a schema such as z.object({ … }).',
      () => workflow("w", { ...any, queries: { q: js({ output: z.any() }) } }, run),
    ],
    [
      'Invalid update "u" of workflow "w" (an object). Use { input: schema, output: schema }.',
      () => workflow("w", { ...any, updates: { u: js(z.any()) } }, run),
    ],
    [
      'Invalid output of update "u" of workflow "w" at [0]: a value of z.symbol() cannot be sent. Use a schema of plain data.',
      () => workflow("w", { ...any, updates: { u: { input: z.any(), output: z.tuple([z.symbol()]) } } }, run),
    ],
  ])("is refused where it is written: %s", (message, define) => {
    expect(define).toThrow(RangeError);
    expect(define).toThrow(message);
  });

  const s = step("s", any);
  const flow = pipeline("p", any);
  it.each<[string, () => unknown]>([
    ['Invalid name of a pipeline "a b". Use 1 to 64 of A-Z a-z 0-9 _ -.', () => pipeline("a b", any)],
    [
      'Invalid input of pipeline "p": it is missing. Use a schema such as z.object({ … }).',
      () => pipeline("p", js({})),
    ],
    [
      'Invalid step of node "n" of pipeline "p" undefined. Use what step(…) returned.',
      () => flow.step("n", js(undefined), js(undefined)),
    ],
    [
      'Invalid step of node "n" of pipeline "p" "s". Use what step(…) returned.',
      () => flow.step("n", js("s"), js(undefined)),
    ],
    ['Invalid map function of node "n" of pipeline "p" 5. Use a function.', () => flow.step("n", s, js(5))],
    [
      'Invalid name of a node of pipeline "p" undefined. Use a string.',
      () => flow.step(js(undefined), s, js(undefined)),
    ],
    ['Invalid items function of node "n" of pipeline "p" (an array). Use a function.', () => flow.map("n", s, js([1]))],
    [
      'Invalid concurrency of node "n" of pipeline "p" 0. Use a whole number from 1.',
      () => flow.map("n", s, () => [1], { concurrency: 0 }),
    ],
    ['Invalid branch "b" of pipeline "p" (an object). Use [step, map function].', () => flow.parallel({ b: js({}) })],
    [
      'Invalid map function of branch "b" of pipeline "p" undefined. Use a function.',
      () => flow.parallel({ b: js([s]) }),
    ],
    [
      'Invalid mode of node "b" of pipeline "p" "some". Use "all" or "allSettled".',
      () => flow.parallel({ b: [s, () => 1] }, { mode: js("some") }),
    ],
    ['Invalid level of node "g" of pipeline "p" undefined. Use a number.', () => flow.gate("g", js({ command: "x" }))],
    [
      'Invalid timeout of node "g" of pipeline "p" "100000d". Use at most "36525d", which is 100 years (3155760000000 ms).',
      () => flow.gate("g", { level: 1, command: "x", timeout: "100000d" }),
    ],
  ])("of a pipeline is refused where it is written: %s", (message, define) => {
    expect(define).toThrow(RangeError);
    expect(define).toThrow(message);
  });

  it("cannot be changed once it is made", () => {
    expect(Object.isFrozen(step("s", any))).toBe(true);
    expect(Object.isFrozen(workflow("w", any, async () => 1))).toBe(true);
  });
});
