import { ForbiddenInWorkflowError } from "@stepstream/contracts";

/**
 * What has its answer in no history, inside workflow code: it either answers from the run (time, randomness) or throws and
 * says what to use instead. Installed when the SDK is imported, so that what a workflow file keeps at its top
 * (`const now = Date.now`) is guarded too.
 *
 * D1. Outside workflow code nothing changes: same results, names, properties and identities. (The source text of a proxy,
 *     `String(Date)`, is "function () { [native code] }", without the name.)
 * D2. One guard for each process, however many copies of this package it has.
 * D3. Named imports of Node's modules are guarded as well, also those that were imported before.
 *
 * Checked elsewhere:
 *   D1  guard.test.ts: a program sees the same globals as without it
 *   D2  guard.test.ts: two copies of it are one guard
 *   D3  ../../../services/coordinator/src/run/globals.test.ts: is answered from the run or refused, and is real outside
 */

/** A run that answers for the code which is being executed. */
export interface GuardedRun {
  now(): number;
  random(): number;
  uuid(): string;
}

interface Guard {
  /** What a coordinator asks: which run is this code part of? */
  readonly sources: (() => GuardedRun | undefined)[];
  /** What was replaced of the globals. */
  readonly globals: { readonly key: string; readonly real: unknown; readonly proxy: unknown }[];
  /** What the globals were that fake timers replace. */
  real?: { readonly Date: unknown; readonly setTimeout: unknown };
  installed: boolean;
}

const KEY = Symbol.for("stepstream.guard");
const shared = globalThis as { [KEY]?: Guard };
shared[KEY] ??= { sources: [], globals: [], installed: false };
const guard = shared[KEY];

/** From now on code belongs to the run that `source` names, if any. */
export function addGuardSource(source: () => GuardedRun | undefined): void {
  guard.sources.push(source);
}

function current(): GuardedRun | undefined {
  for (const source of guard.sources) {
    const run = source();
    if (run) return run;
  }
  return undefined;
}

/** The same function may be found in several places (`setTimeout` of the globals, of `node:timers`): it stays one. */
const guards = new WeakMap<object, object>();

/** A proxy has the name, the length and all properties of the function that it stands for. */
function guarded<F extends object>(real: F, handler: ProxyHandler<F>): F {
  let proxy = guards.get(real) as F | undefined;
  if (!proxy) {
    proxy = new Proxy(real, handler);
    guards.set(real, proxy);
    guards.set(proxy, proxy);
  }
  return proxy;
}

function replace(owner: any, key: string, handler: ProxyHandler<any>): void {
  const descriptor = owner && Object.getOwnPropertyDescriptor(owner, key);
  if (typeof descriptor?.value !== "function" || !(descriptor.configurable || descriptor.writable)) return;
  const real = descriptor.value;
  const proxy = guarded(real, handler);
  Object.defineProperty(owner, key, { ...descriptor, value: proxy });
  if (owner === globalThis) guard.globals.push({ key, real, proxy });
}

/** Fake timers of test runners put back what they found before the guard was there. */
export function keepGuarded(): void {
  // In every turn, so it looks at no more than it must.
  if (Date !== guard.real?.Date && setTimeout !== guard.real?.setTimeout) return;
  for (const { key, real, proxy } of guard.globals)
    if ((globalThis as any)[key] === real) (globalThis as any)[key] = proxy;
}

function answer(owner: object | undefined, key: string, from: (run: GuardedRun) => unknown): void {
  replace(owner, key, {
    apply(real, self, args) {
      const run = current();
      return run ? from(run) : Reflect.apply(real, self, args);
    },
  });
}

function refuse(owner: object | undefined, key: string, instead: string, name = key): void {
  replace(owner, key, {
    apply(real, self, args) {
      if (current()) throw new ForbiddenInWorkflowError(`${name}()`, instead);
      return Reflect.apply(real, self, args);
    },
  });
}

function guardDate(): void {
  const Real = globalThis.Date;
  const prototype = Real.prototype;
  answer(Real, "now", (run) => run.now());
  replace(globalThis, "Date", {
    construct(real, args, newTarget) {
      const run = args.length === 0 ? current() : undefined;
      return Reflect.construct(real, run ? [run.now()] : args, newTarget);
    },
    apply(real, self, args) {
      const run = current();
      return run ? new Real(run.now()).toString() : Reflect.apply(real, self, args);
    },
  });
  // Equality libraries compare a date's constructor with Date, whichever of the two that is: see `keepGuarded`.
  const Guarded = globalThis.Date;
  let own: unknown;
  Object.defineProperty(prototype, "constructor", {
    get: () => own ?? (globalThis.Date === Real ? Real : Guarded),
    set(value) {
      own = value;
    },
    enumerable: false,
    configurable: true,
  });
}

/** Replaces the getter of an accessor. */
function replaceGetter(owner: object | undefined, key: string, handler: ProxyHandler<() => unknown>): void {
  const descriptor = owner && Object.getOwnPropertyDescriptor(owner, key);
  if (!descriptor?.get || !descriptor.configurable) return;
  Object.defineProperty(owner, key, { ...descriptor, get: guarded(descriptor.get, handler) });
}

/** What formats the time of the call where it is given no date. */
function guardIntl(): void {
  const { prototype } = Intl.DateTimeFormat;
  const handler: ProxyHandler<(date?: unknown) => unknown> = {
    apply(real, self, args) {
      const run = args[0] === undefined ? current() : undefined;
      return Reflect.apply(real, self, run ? [run.now()] : args);
    },
  };
  replace(prototype, "formatToParts", handler);
  // `format` is a getter of a function that is bound to its formatter.
  replaceGetter(prototype, "format", {
    apply: (real, self, args) => guarded(Reflect.apply(real, self, args) as () => unknown, handler),
  });
}

/** Node.js 26 and later. */
function guardTemporal(): void {
  const { Temporal } = globalThis as any;
  if (!Temporal?.Now) return;
  const zoned = (run: GuardedRun, zone: unknown) =>
    Temporal.Instant.fromEpochMilliseconds(run.now()).toZonedDateTimeISO(zone ?? Temporal.Now.timeZoneId());
  const now: Record<string, (run: GuardedRun, zone: unknown) => unknown> = {
    instant: (run) => Temporal.Instant.fromEpochMilliseconds(run.now()),
    zonedDateTimeISO: zoned,
    plainDateTimeISO: (run, zone) => zoned(run, zone).toPlainDateTime(),
    plainDateISO: (run, zone) => zoned(run, zone).toPlainDate(),
    plainTimeISO: (run, zone) => zoned(run, zone).toPlainTime(),
  };
  for (const [key, answers] of Object.entries(now))
    replace(Temporal.Now, key, {
      apply(real, self, args) {
        const run = current();
        return run ? answers(run, args[0]) : Reflect.apply(real, self, args);
      },
    });
}

function install(): void {
  if (guard.installed) return;
  guard.installed = true;
  const { crypto, performance, AbortSignal } = globalThis;
  guard.real = { Date: globalThis.Date, setTimeout: globalThis.setTimeout };

  guardDate();
  answer(Math, "random", (run) => run.random());
  answer(crypto && Object.getPrototypeOf(crypto), "randomUUID", (run) => run.uuid());
  const timing = performance && Object.getPrototypeOf(performance);
  answer(timing, "now", (run) => run.now());
  // So that `timeOrigin + now()` is the time here too.
  replaceGetter(timing, "timeOrigin", {
    apply: (real, self, args) => (current() ? 0 : Reflect.apply(real, self, args)),
  });
  for (const key of ["mark", "measure"]) refuse(timing, key, "w.now()", `performance.${key}`);
  guardIntl();
  guardTemporal();

  refuse(globalThis, "setTimeout", "w.sleep()");
  refuse(globalThis, "setInterval", "w.sleep() in a loop");
  refuse(globalThis, "setImmediate", "await Promise.resolve()");
  refuse(globalThis, "fetch", "a step");
  refuse(crypto && Object.getPrototypeOf(crypto), "getRandomValues", "w.random() or w.uuid()");
  refuse(AbortSignal, "timeout", "w.race() with w.sleep()");
  guardNode();
}

/** Node's modules: what they export is the same for all who import it, by name too. */
function guardNode(): void {
  // Not in browsers, and not an import: bundlers would follow it.
  const load = (globalThis as any).process?.getBuiltinModule as ((name: string) => any) | undefined;
  if (!load) return;
  const timers = load("node:timers");
  const promises = load("node:timers/promises");
  const crypto = load("node:crypto");
  for (const owner of [timers, promises]) {
    refuse(owner, "setTimeout", "w.sleep()");
    refuse(owner, "setInterval", "w.sleep() in a loop");
    refuse(owner, "setImmediate", "await Promise.resolve()");
  }
  const scheduler = promises?.scheduler && Object.getPrototypeOf(promises.scheduler);
  refuse(scheduler, "wait", "w.sleep()");
  refuse(scheduler, "yield", "await Promise.resolve()");
  const { process } = globalThis as any;
  refuse(process.hrtime, "bigint", "w.now()", "process.hrtime.bigint");
  for (const key of ["hrtime", "uptime"]) refuse(process, key, "w.now()", `process.${key}`);
  for (const key of ["cpuUsage", "memoryUsage", "resourceUsage"]) refuse(process, key, "a step", `process.${key}`);
  answer(crypto, "randomUUID", (run) => run.uuid());
  for (const name of ["randomUUIDv7", "randomBytes", "pseudoRandomBytes", "randomInt", "randomFill", "randomFillSync"])
    refuse(crypto, name, "w.random() or w.uuid()");
  for (const name of ["generateKey", "generateKeyPair", "generatePrime"])
    for (const how of ["", "Sync"]) refuse(crypto, name + how, "a step");
  refuse(crypto, "publicEncrypt", "a step");
  for (const type of ["DiffieHellman", "DiffieHellmanGroup", "ECDH"])
    refuse(crypto?.[type]?.prototype, "generateKeys", "a step");
  load("node:module").syncBuiltinESMExports();
}

install();
