// Prints what a program sees of its globals. Run with and without the SDK by guard.test.ts: the two must be the same.
import assert from "node:assert";
import { getRandomValues, randomUUID } from "node:crypto";
import timers from "node:timers";
import { setTimeout as wait } from "node:timers/promises";
import util from "node:util";
import vm from "node:vm";

const BeforeDate = Date;
if (process.argv[2]) await import(process.argv[2]);

const of = (owner, key) => {
  let at = owner;
  while (at && !Object.hasOwn(at, key)) at = Object.getPrototypeOf(at);
  const { value, get, ...flags } = Object.getOwnPropertyDescriptor(at, key);
  const fn = owner[key];
  return {
    own: at === owner,
    ...flags,
    kind: typeof fn,
    name: fn.name,
    length: fn.length,
    keys: Reflect.ownKeys(fn).map(String),
  };
};

/** As dequal, fast-deep-equal and others compare. */
function equal(a, b) {
  if (a.constructor !== b.constructor) return false;
  if (a.constructor === Date) return a.getTime() === b.getTime();
  return Object.keys(a).every((key) => a[key] === b[key]);
}
class MyDate extends Date {
  day() {
    return this.getUTCDate();
  }
}
const throws = (fn) => {
  try {
    fn();
  } catch (error) {
    return error.name;
  }
};

const formatter = new Intl.DateTimeFormat("en", { timeZone: "UTC" });

const seen = {
  globals: Object.fromEntries(
    ["Date", "setTimeout", "setInterval", "setImmediate", "fetch", "AbortSignal"].map((key) => [
      key,
      of(globalThis, key),
    ]),
  ),
  others: [
    of(Date, "now"),
    of(Math, "random"),
    of(crypto, "randomUUID"),
    of(crypto, "getRandomValues"),
    of(performance, "now"),
    of(AbortSignal, "timeout"),
    of(process, "hrtime"),
    of(process.hrtime, "bigint"),
    of(process, "uptime"),
    of(process, "memoryUsage"),
    of(performance, "mark"),
    of(Intl.DateTimeFormat.prototype, "formatToParts"),
  ],
  date: [
    new Date().constructor === Date,
    Date.prototype.constructor === Date,
    new Date(5) instanceof Date,
    structuredClone(new Date(5)).constructor === Date,
    new Date(5) instanceof BeforeDate,
    new MyDate(5).constructor === MyDate,
    new MyDate(5) instanceof Date,
    new MyDate("2026-01-02").day(),
    Reflect.construct(Date, [5], MyDate) instanceof MyDate,
    Object.prototype.toString.call(new Date(5)),
    typeof Date(),
    JSON.stringify(new Date(5)),
    new Date(2020, 1, 2).getMonth(),
    Date.UTC(2020),
    Date.parse("2026-01-02"),
    Math.abs(Date.now() - performance.timeOrigin - performance.now()) < 1_000,
    Object.keys(Date.prototype),
    "constructor" in Date.prototype,
    Object.getOwnPropertyNames(Date.prototype).sort(),
    vm.runInNewContext("new Date(5).constructor === Date"),
    util.inspect(new Date(5)),
    util.types.isDate(new Date(5)),
    throws(() => Date.prototype.getTime.call({})),
  ],
  equal: [
    equal(new Date(1), new Date(2)),
    equal(new Date(1), new Date(1)),
    util.isDeepStrictEqual(new Date(1), new Date(2)),
    util.isDeepStrictEqual({ at: new Date(1) }, { at: new Date(1) }),
    throws(() => assert.deepEqual(new Date(1), new Date(2))),
  ],
  same: [
    timers.setTimeout === setTimeout,
    timers.setImmediate === setImmediate,
    util.promisify(setTimeout) === wait,
    timers.promises.setTimeout === wait,
    Object.keys(crypto),
    Object.keys(performance),
    new Set([formatter.format, formatter.format]).size,
    formatter.format.name,
    Reflect.ownKeys(formatter.format).map(String),
    Object.keys(process).filter((key) => /hrtime|Usage|uptime/.test(key)),
  ],
  works: [
    await wait(1, "waited"),
    await util.promisify(setTimeout)(1, "promisified"),
    await util.promisify(setImmediate)("at once"),
    await new Promise((resolve) => setTimeout(resolve, 1, "called")),
    randomUUID().length,
    getRandomValues(new Uint8Array(3)).length,
    crypto.randomUUID().length,
    AbortSignal.timeout(1_000).aborted,
    Math.random() < 1,
    process.hrtime(process.hrtime())[0],
    typeof process.hrtime.bigint(),
    process.uptime() > 0,
    Math.abs(performance.timeOrigin + performance.now() - Date.now()) < 1_000,
    [5e11].map(formatter.format),
    throws(() => Object.getOwnPropertyDescriptor(Intl.DateTimeFormat.prototype, "format").get.call({})),
    throws(() => setTimeout()),
    throws(() => crypto.randomUUID.call({})),
    throws(() => performance.now.call({})),
  ],
  listeners: process.eventNames().filter((name) => String(name).startsWith("u")),
};
process.stdout.write(JSON.stringify(seen, null, 1));
