/**
 * A process that blocks its event loop, for watch.test.ts: `node blocker.ts <kind> <options as JSON>`. Says in lines of
 * JSON what happens, and ends when it has lived as long as it is asked to.
 */
import { AsyncLocalStorage, createHook } from "node:async_hooks";
import { execFileSync } from "node:child_process";
import { writeSync } from "node:fs";
import { watchEventLoop } from "../src/index.ts";

const [kind = "", more = "{}"] = process.argv.slice(2);
const options: { stallMs?: number; guilty?: boolean; times?: number; liveMs?: number; hooks?: boolean } =
  JSON.parse(more);
const { stallMs = 500, guilty = true, times = 1, liveMs = 300, hooks = false } = options;
const began = performance.now();
const owners = new AsyncLocalStorage<string>();
if (hooks) createHook({ init() {}, after() {} }).enable();

function say(what: string, more: object = {}): void {
  writeSync(1, `${JSON.stringify({ what, at: Math.round(performance.now() - began), ...more })}\n`);
}

/** Does one long thing until the time is over, for kinds that are no endless loops. */
function busy(ms: number, fn: () => void = () => {}): void {
  const until = performance.now() + ms;
  while (performance.now() < until) fn();
}

const endless = () => {
  for (;;);
};
const evil = `${"a".repeat(40)}b`;

const kinds: Record<string, () => unknown> = {
  while: endless,
  await: async () => {
    for (;;) await null;
  },
  chain: () => {
    const again = (): Promise<void> => Promise.resolve().then(again);
    return again();
  },
  microtask: () => {
    const again = () => queueMicrotask(again);
    again();
  },
  nextTick: () => {
    const again = () => process.nextTick(again);
    again();
  },
  two: async () => {
    const one = async () => {
      for (;;) await null;
    };
    await Promise.all([one(), one()]);
  },
  regex: () => /^(a+)+$/.test(evil),
  replace: () => evil.replace(/(a+)+$/g, ""),
  sort: () => [2, 1].sort(endless),
  getter: () => {
    const one = {
      get x() {
        return endless();
      },
    };
    return one.x;
  },
  toJSON: () => JSON.stringify({ toJSON: endless }),
  proxy: () => Object.keys(new Proxy({}, { ownKeys: endless })),
  overflow: () => {
    function again() {
      try {
        again();
      } catch {
        again();
      }
    }
    again();
  },
  overflowFinally: async () => {
    const again = (): never => {
      try {
        return again();
      } finally {
        again();
      }
    };
    again();
  },
  overflowAwait: async () => {
    const again = async (): Promise<void> => {
      try {
        await again();
      } catch {
        await again();
      }
    };
    await again();
  },
  iterator: () => {
    for (const x of { [Symbol.iterator]: () => ({ next: () => ({ value: 1, done: false }) }) }) void x;
  },
  finally: () => {
    for (;;) {
      try {
        endless();
      } catch {
        endless();
      } finally {
        endless();
      }
    }
  },
  // The debugger would call these as well, to describe the error: see Stack.holdable.
  errorName: () =>
    new (class extends Error {
      override get name() {
        return endless();
      }
    })().name,
  errorMethod: () =>
    new (class OwnError extends Error {
      override get name() {
        return this.told();
      }
      told() {
        return endless();
      }
    })().told(),
  // V8 would leave out the check for interrupts in these: see keepLoopsInterruptible().
  allocates: () => {
    const a: unknown[] = [];
    for (;;) {
      a.push(new Array(1_000).fill(0));
      if (a.length > 1_000) a.length = 0;
    }
  },
  allocates2: () => {
    let a: unknown[] = [];
    for (;;) {
      a.push(new Array(1_000));
      if (a.length > 1_000) a = [];
    }
  },
  short: () => busy(stallMs * 0.6),
  // Of the CPU's time: a process that gets little of it is not blamed.
  long: () => {
    const before = process.cpuUsage();
    const used = () => Object.values(process.cpuUsage(before)).reduce((sum, micros) => sum + micros, 0) / 1_000;
    while (used() < stallMs * 3);
  },
  child: () => execFileSync(process.execPath, ["-e", `setTimeout(() => {}, ${stallMs * 2.5})`]),
  wait: () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stallMs * 2),
  garbage: () => busy(stallMs * 0.7, () => new Array(1e5).fill({})),
  native: () => {
    const text = `[${"[1],".repeat(4e6)}1]`;
    return busy(stallMs * 3, () => JSON.parse(text));
  },
  many: () => {
    let left = 12;
    const next = () => {
      busy(stallMs / 4);
      if (--left > 0) setImmediate(next);
    };
    setImmediate(next);
  },
  timers: () => {
    for (let i = 0; i < 20; i++) setTimeout(() => busy(stallMs / 2), 1);
  },
  nothing: () => {},
};

watchEventLoop({
  stallMs,
  suspect: () => {
    const what = owners.getStore();
    if (what === undefined) return undefined;
    if (!guilty) return { what };
    return { what, stop: ({ ms, frames }) => say("stopping", { who: what, ms, frame: frames[0] }) };
  },
  stoppedOverflown({ ms, frames }) {
    say("stopping", { who: "guilty", ms, frame: frames[0] });
    return true;
  },
  onBlocked: ({ ms, frames, over }, suspect) =>
    say("blocked", { ms, over, who: suspect?.what, frame: frames[0], store: owners.getStore() }),
  onStopped: () => {
    say("stopped", { store: owners.getStore() });
    owners.run("after", async () => {
      await null;
      say("microtasks", { store: owners.getStore() });
    });
    setImmediate(() => say("immediate"));
    process.nextTick(() => say("tick"));
    Promise.reject(new Error("nobody waits for it"));
    if (--left > 0) setTimeout(block, 10);
    else setTimeout(() => process.exit(), liveMs);
  },
  onFailed: (error) => say("failed", { error: String(error) }),
});
process.on("unhandledRejection", (error) => say("unhandledRejection", { message: (error as Error).message }));
process.on("exit", (code) => say("exit", { code }));

let left = times;
function block(): void {
  say("blocking");
  const name = kind === "unknown" ? undefined : "guilty";
  const run = async () => {
    await null;
    await kinds[kind === "unknown" ? "long" : kind]!();
    say("unblocked");
    if (kind !== "nothing") setTimeout(() => process.exit(), stallMs * 2 + liveMs);
  };
  if (name) owners.run(name, run);
  else void run();
}
setTimeout(block, 50);
// As a server would: the watch itself keeps nothing alive.
setInterval(() => {}, 60_000);
