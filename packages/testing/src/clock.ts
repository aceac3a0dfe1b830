import { setImmediate } from "node:timers";
import type { Clock } from "@stepstream/event-log";

interface Timer {
  at: number;
  readonly order: number;
  /** Leaps do not bring it nearer. */
  readonly drifts: boolean;
  fn: (() => void) | undefined;
}

/**
 * Time that passes when nothing else is left to do.
 *
 * V1. Timers fire in the order of their times, those of the same time in the order they were set in. So one seed
 *     has one order, whatever the machine.
 * V2. Between two timers everything that follows from the first is finished: all microtasks, and the macrotasks that
 *     are known to be under way (`settled`). Other waits of the real world (files, threads) are not known: code that
 *     is simulated must not have any.
 * V3. `now()` is whole milliseconds, as of a real clock; inside, time is finer, so that a latency of 0.3 ms counts.
 * V4. It stands still while nobody runs it.
 * V5. A leap is a long time in which nothing was going to happen but housekeeping. It costs nothing: timers that came
 *     due in it fire where it ends, in their order, as in a machine that has slept.
 */
export class VirtualClock implements Clock {
  readonly random: () => number;
  readonly #settled: () => Promise<void>;
  #time: number;
  #order = 0;
  #leapt = 0;
  /** A binary heap by (at, order). */
  #heap: Timer[] = [];
  /** Called when everything has settled and time is about to pass, with the time of the next timer. It may `leap`. */
  onPassing: ((nextAt: number) => void) | undefined;

  /** @param settled - Resolves when no macrotask is under way any more. Default: those of {@link countedMacrotask}. */
  constructor(random: () => number, startMs = Date.UTC(2026, 0, 1), settled: () => Promise<void> = macrotasksOver) {
    this.random = random;
    this.#time = startMs;
    this.#settled = settled;
  }

  now(): number {
    return Math.floor(this.#time);
  }

  setTimeout(fn: () => void, ms: number): unknown {
    return this.#set(fn, ms, false);
  }

  /** As `setTimeout`, but by the time that was really lived through: leaps do not count. */
  setDrifting(fn: () => void, ms: number): unknown {
    return this.#set(fn, ms, true);
  }

  clearTimeout(handle: unknown): void {
    if (handle) (handle as Timer).fn = undefined;
  }

  /** Lets so much time pass at once (V5). */
  leap(ms: number): void {
    if (!(ms > 0)) return;
    this.#time += ms;
    this.#leapt += ms;
    const timers = this.#heap;
    this.#heap = [];
    for (const timer of timers) {
      if (!timer.fn) continue;
      if (timer.drifts) timer.at += ms;
      this.#push(timer);
    }
  }

  /** Resolves when everything that is under way is over (V2). */
  settled(): Promise<void> {
    return this.#settled();
  }

  /**
   * Lets time pass until `until` holds, `limitMs` are over (leaps not counted), or nothing is left to happen.
   * @returns whether it holds.
   */
  async run(until: () => boolean, limitMs: number): Promise<boolean> {
    const end = this.#time + limitMs - this.#leapt;
    await this.#settled();
    while (!until()) {
      if (this.step(end + this.#leapt) !== "fired") return false;
      await this.#settled();
    }
    return true;
  }

  /** The next timer, if it is due by `limitAt`; else time passes until then. What follows from it is not waited for. */
  step(limitAt: number): "fired" | "limit" | "empty" {
    let next = this.#first();
    if (next && next.at > this.#time && this.onPassing) {
      const leapt = this.#leapt;
      this.onPassing(next.at);
      limitAt += this.#leapt - leapt;
      next = this.#first();
    }
    if (!next) return "empty";
    if (next.at > limitAt) {
      this.#time = Math.max(this.#time, limitAt);
      return "limit";
    }
    this.#pop();
    this.#time = Math.max(this.#time, next.at);
    const { fn } = next;
    next.fn = undefined;
    fn!();
    return "fired";
  }

  #set(fn: () => void, ms: number, drifts: boolean): Timer {
    const timer: Timer = { at: this.#time + Math.max(0, ms), order: this.#order++, drifts, fn };
    this.#push(timer);
    return timer;
  }

  /** The next that was not cleared. */
  #first(): Timer | undefined {
    while (this.#heap.length > 0 && !this.#heap[0]!.fn) this.#pop();
    return this.#heap[0];
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    heap.push(timer);
    let i = heap.length - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(heap[i]!, heap[parent]!)) break;
      [heap[i], heap[parent]] = [heap[parent]!, heap[i]!];
      i = parent;
    }
  }

  #pop(): Timer | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last || heap.length === 0) return first;
    heap[0] = last;
    let i = 0;
    for (;;) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2])
        if (child < heap.length && before(heap[child]!, heap[least]!)) least = child;
      if (least === i) return first;
      [heap[i], heap[least]] = [heap[least]!, heap[i]!];
      i = least;
    }
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

let turns = 0;

/** The boundary of workflow turns, counted, so that the clock knows when none is under way. */
export function countedMacrotask(fn: () => void): void {
  turns++;
  setImmediate(() => {
    turns--;
    fn();
  });
}

/** How many macrotasks in a row that nobody counted are waited for as well. */
const UNCOUNTED = 2;

/** No counted macrotask is under way any more, nor one of two uncounted in a row. */
export async function macrotasksOver(): Promise<void> {
  for (let rest = UNCOUNTED; rest > 0; rest = turns > 0 ? UNCOUNTED : rest - 1) await macrotask();
}

/** All microtasks run before the next macrotask; `setImmediate` is the cheapest of them. */
function macrotask(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
