import type { Session } from "node:inspector";
import type { MessagePort } from "node:worker_threads";
import type { Looked, Places, Told } from "./shared.ts";

/** Silence of the event loop, as far as this process was running. */
interface Stall {
  beats: number;
  ms: number;
  /** When the main thread was last looked at, or the stall began, and what the process had used until then. */
  from: { ms: number; cpuMs: number };
  /** The next look comes so long after that. */
  waitMs: number;
  /** Who was found at the first look. */
  what: string | undefined;
  /** The stack of code that overflows it. */
  trace: string | undefined;
  reported: boolean;
}

type How = "Debugger.pause" | "Debugger.stepInto" | "Debugger.stepOver" | "Debugger.stepOut";

/**
 * The thread that watches the main thread's event loop: see `watch.ts`.
 *
 * The thread is given the text of this function, because a program that was bundled has no file to start a thread from.
 * So nothing outside of it may be used here, except types, and no syntax that a compiler turns into calls of helpers.
 */
export function watchThread(
  { Session: InspectorSession }: { Session: typeof Session },
  { parentPort, workerData }: { parentPort: MessagePort | null; workerData: Int32Array },
  { BEAT_MS, BEATS, HOOK, INSPECTED, STALL_MS, STOPPABLE, STOPPING }: Places,
): void {
  const shared = workerData;
  let stall: Stall | undefined;
  let holding = false;
  let lastBeats = -1;
  let lastAt = performance.now();

  setInterval(check, BEAT_MS);

  function check(): void {
    const now = performance.now();
    const passed = now - lastAt;
    lastAt = now;
    const beats = Atomics.load(shared, BEATS);
    const stallMs = Atomics.load(shared, STALL_MS);
    if (beats !== lastBeats || stallMs === 0 || Atomics.load(shared, INSPECTED) === 1) {
      if (stall?.reported) tell({ type: "over", ms: stall.ms });
      stall = undefined;
      lastBeats = beats;
      return;
    }
    stall ??= {
      beats,
      ms: 0,
      from: { ms: 0, cpuMs: cpuMs() },
      waitMs: stallMs / 2,
      what: undefined,
      trace: undefined,
      reported: false,
    };
    // A thread that was not scheduled itself cannot say that the other one was.
    stall.ms += Math.min(passed, 2 * BEAT_MS);
    if (holding || !hasBlocked(stall, stall.waitMs)) return;
    holding = true;
    lookAt(stall, stallMs)
      .catch(() => {}) // The main thread is gone, or its inspector is.
      .finally(() => {
        holding = false;
      });
  }

  /** For so long since the last look, while it had at least a quarter of a CPU; or for three times as long. */
  function hasBlocked({ ms, from }: Stall, forMs: number): boolean {
    const passed = ms - from.ms;
    return passed >= forMs && (passed >= 3 * forMs || cpuMs() - from.cpuMs >= forMs / 4);
  }

  function lookAgain(stall: Stall, inMs: number): void {
    stall.from = { ms: stall.ms, cpuMs: cpuMs() };
    stall.waitMs = inMs;
  }

  /** What the process has used, in milliseconds: mostly the main thread, if that is blocked by code. */
  function cpuMs(): number {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  }

  function tell(message: Told): void {
    parentPort!.postMessage(message);
  }

  // ---------------------------------------------------------------- the main thread, held

  /** So many steps in the code of Node.js are enough to come to the code that it calls. */
  const STEPS = 400;
  const STEPS_AT_LEAST = 60;
  const SETTLE_MS = 500;
  /** In place of a suspect: nobody can be asked. */
  const OVERFLOWN = "overflown";
  const OVERFLOWN_TRIES = 100;
  const OVERFLOWN_AGAIN = 5;
  const STEP_MS = 200;

  async function lookAt(current: Stall, stallMs: number): Promise<void> {
    const main = new Held();
    try {
      // Asked in the middle of the code, without holding it.
      const looked = await look(main).catch((error: Error) => {
        if (isOverflow(error)) return error.message;
        throw error;
      });
      if (typeof looked === "string") return await judgeOverflown(main, looked, current, stallMs);
      if (looked.holdable) {
        await main.hold();
        await judge(main, current, stallMs);
      } else await judgeUnheld(main, looked, current, stallMs);
    } finally {
      main.letGo();
    }
  }

  const turned = (current: Stall) => Atomics.load(shared, BEATS) !== current.beats;

  /**
   * Code that catches its own stack overflow again and again. No code can be called in the middle of it, for want of a
   * stack, and V8 ignores breaks there. But it can be terminated. So the main thread is asked afterwards whose code it was,
   * at its next call of any code; until then `STOPPING` detaches what must not continue.
   */
  async function judgeOverflown(main: Held, trace: string, current: Stall, stallMs: number): Promise<void> {
    if (turned(current)) return;
    const isSecond = current.what === OVERFLOWN;
    current.what = OVERFLOWN;
    current.trace ??= trace.includes("\n    at ") ? trace : undefined;
    if (!isSecond || current.ms < stallMs || Atomics.load(shared, STOPPABLE) === 0)
      return lookAgain(current, Math.max(stallMs - current.ms, stallMs / 2));
    // Where errors are formatted by code, that often overflows as well.
    for (let tries = 0; current.trace === undefined && tries < OVERFLOWN_TRIES; tries++) {
      const again = await look(main).catch((error: Error) => error.message);
      if (typeof again !== "string" || turned(current)) return;
      if (again.includes("\n    at ")) current.trace = again;
    }
    Atomics.store(shared, STOPPING, 1);
    for (let tries = 0; ; tries++) {
      // Once is enough, mostly: another one could end what is called below.
      if (tries % OVERFLOWN_AGAIN === 0) main.terminate();
      try {
        await main.call(`stopOverflown(${current.ms}, ${JSON.stringify(current.trace ?? "")})`);
        break;
      } catch (error) {
        // Asked too early, still in the middle of it.
        const isEarly = isOverflow(error) || /terminated/.test((error as Error).message);
        if (!isEarly || tries === OVERFLOWN_TRIES) throw error;
        await new Promise((resolve) => setTimeout(resolve, 1 + tries));
      }
    }
    tell({ type: "stopped" });
    if (stall === current) stall = undefined;
  }

  /** Code that the debugger must not hold. */
  async function judgeUnheld(main: Held, looked: Looked, current: Stall, stallMs: number): Promise<void> {
    if (turned(current)) return;
    const late = current.what === undefined && hasBlocked(current, 2 * stallMs);
    if (!looked.stop || !(late || current.what === looked.what)) return again(main, looked, current, stallMs);
    // Both come to the main thread at once.
    const stopped = main.call(`stop(${current.ms})`);
    main.terminate();
    await stopped;
    tell({ type: "stopped" });
    if (stall === current) stall = undefined;
  }

  async function judge(main: Held, current: Stall, stallMs: number): Promise<void> {
    const turns = () => turned(current);
    if (turns()) return;
    let looked = await look(main);
    // Between two pieces of code that Node.js calls: from process.nextTick, queueMicrotask.
    for (let i = 0; !looked.placed && main.isInternal && i < STEPS; i++) {
      await main.step("Debugger.stepInto");
      if (turns()) return;
      if (!main.isInternal) looked = await look(main);
    }
    // One long call of native code cannot be held before it ends: then the first look may be late, and is enough.
    const late = current.what === undefined && hasBlocked(current, 2 * stallMs);
    if (looked.stop && (late || current.what === looked.what)) {
      await main.settle();
      if (turns() || (await main.call("who()")) !== looked.what) return;
      await main.call(`stop(${current.ms})`);
      main.terminate();
      tell({ type: "stopped" });
      // It may not be the last such code.
      if (stall === current) stall = undefined;
      return;
    }
    return again(main, looked, current, stallMs);
  }

  /** It is not to be stopped, or not yet. */
  async function again(main: Held, looked: Looked, current: Stall, stallMs: number): Promise<void> {
    current.what = looked.what;
    if (looked.stop || current.ms < stallMs) {
      return lookAgain(current, Math.max(stallMs - current.ms, stallMs / 2));
    }
    await main.call(`report(${current.ms})`);
    current.reported = true;
    lookAgain(current, current.ms < 10_000 ? 10_000 - current.ms : 30_000);
  }

  /** Its message is then the stack of the main thread. */
  function isOverflow(error: unknown): boolean {
    return (error as Error).message.startsWith("RangeError: Maximum call stack");
  }

  async function look(main: Held): Promise<Looked> {
    return (await main.call("look()")) as Looked;
  }

  /** The main thread, held by the debugger. */
  class Held {
    readonly #session = new InspectorSession();
    #onPaused: ((isInternal: boolean) => void) | undefined;
    #paused = false;
    /** Was it held in the code of Node.js, or in a hook that is called there? */
    isInternal = false;

    constructor() {
      this.#session.connectToMainThread();
    }

    /** Waits until the main thread has come to a place where it can be held. */
    async hold(): Promise<void> {
      // Call frames come without their URL.
      const urls = new Map<string, string>();
      this.#session.on("Debugger.scriptParsed", ({ params }) => urls.set(params.scriptId, params.url));
      this.#session.on("Debugger.paused", ({ params }) => {
        const files = params.callFrames.map(({ location }) => urls.get(location.scriptId) ?? "");
        // A hook of the program's, called by Node.js for a promise.
        const inHook = files.includes("node:internal/async_hooks");
        this.#onPaused?.(inHook || files[0]?.startsWith("node:") === true);
      });
      await this.#post("Debugger.enable");
      await this.#pause("Debugger.pause");
    }

    /** Goes on to the next place in the code. @returns Whether there was one: a regular expression, for one, has none. */
    step(how: How): Promise<boolean> {
      return this.#pause(how);
    }

    /**
     * Comes to a place in the code where it is terminated as soon as it is let go, outside the code of Node.js. Else it
     * would be at the next check, which may be in a hook for promises (async hooks; in Node.js 22 AsyncLocalStorage too),
     * and V8 ends the process for that. If Node.js calls the code again and again, the place is the beginning of a call:
     * the end may be too late, after `process.nextTick` has been told to call it again.
     */
    async settle(): Promise<void> {
      const until = performance.now() + SETTLE_MS;
      for (let i = 0; i < STEPS; i++) {
        const wasInternal = this.isInternal;
        if (!(await this.step("Debugger.stepInto"))) break;
        const enough = i >= STEPS_AT_LEAST || performance.now() > until;
        if (!this.isInternal && (wasInternal || enough)) break;
      }
    }

    /**
     * Lets the main thread go on, and waits until it is held again. It is asked for that again and again: what it is asked
     * before it has gone on has no effect, and a thread that gets little of a CPU takes its time.
     *
     * @returns Whether it came to a place by itself.
     */
    async #pause(how: How): Promise<boolean> {
      const paused = new Promise<boolean>((resolve) => {
        this.#onPaused = resolve;
      });
      this.#paused = false;
      let alone = true;
      const timer = setInterval(() => {
        alone = false;
        this.#session.post("Debugger.pause", () => {});
      }, STEP_MS);
      try {
        await this.#post(how);
        this.isInternal = await paused;
      } finally {
        clearInterval(timer);
      }
      this.#paused = true;
      return alone;
    }

    /** Calls what the main thread has for us, there. */
    async call(method: string): Promise<unknown> {
      const expression = `JSON.stringify(globalThis[Symbol.for(${JSON.stringify(HOOK)})].${method})`;
      const { result, exceptionDetails } = await this.#post("Runtime.evaluate", {
        expression,
        returnByValue: true,
        silent: true,
      });
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value === undefined ? undefined : JSON.parse(result.value);
    }

    /** Stops what runs, once it is let go. */
    terminate(): void {
      this.#session.post("Runtime.terminateExecution", () => {});
    }

    #post(method: string, params?: object): Promise<any> {
      return new Promise((resolve, reject) =>
        this.#session.post(method, params, (error, result) => (error ? reject(error) : resolve(result))),
      );
    }

    letGo(): void {
      if (this.#paused) this.#session.post("Debugger.resume", () => {});
      this.#session.post("Debugger.disable", () => {});
      this.#session.disconnect();
    }
  }
}
