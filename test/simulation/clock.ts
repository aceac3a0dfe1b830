import type { Clock } from "@stepstream/event-log";

interface Timer {
  readonly at: number;
  readonly order: number;
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
 */
export class VirtualClock implements Clock {
  readonly random: () => number;
  readonly #settled: () => Promise<void>;
  #time: number;
  #order = 0;
  /** A binary heap by (at, order). */
  readonly #heap: Timer[] = [];

  /** @param settled - Resolves when no macrotask is under way any more. Default: those of {@link countedMacrotask}. */
  constructor(random: () => number, startMs = Date.UTC(2026, 0, 1), settled: () => Promise<void> = countedMacrotasks) {
    this.random = random;
    this.#time = startMs;
    this.#settled = settled;
  }

  now(): number {
    return Math.floor(this.#time);
  }

  setTimeout(fn: () => void, ms: number): unknown {
    const timer: Timer = { at: this.#time + Math.max(0, ms), order: this.#order++, fn };
    this.#push(timer);
    return timer;
  }

  clearTimeout(handle: unknown): void {
    if (handle) (handle as Timer).fn = undefined;
  }

  /** Lets time pass until `until` holds, `limitMs` are over, or nothing is left to happen. @returns whether it holds. */
  async run(until: () => boolean, limitMs: number): Promise<boolean> {
    const end = this.#time + limitMs;
    await this.#settled();
    while (!until()) {
      const next = this.#heap[0];
      if (!next || next.at > end) {
        if (next) this.#time = end;
        return false;
      }
      this.#pop();
      if (!next.fn) continue;
      this.#time = Math.max(this.#time, next.at);
      const { fn } = next;
      next.fn = undefined;
      fn();
      await this.#settled();
    }
    return true;
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
async function countedMacrotasks(): Promise<void> {
  for (let rest = UNCOUNTED; rest > 0; rest = turns > 0 ? UNCOUNTED : rest - 1) await macrotask();
}

/** All microtasks run before the next macrotask; `setImmediate` is the cheapest of them. */
function macrotask(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
