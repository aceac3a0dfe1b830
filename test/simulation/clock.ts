import type { Clock } from "@stepstream/event-log";

interface Timer {
  readonly at: number;
  readonly order: number;
  fn: (() => void) | undefined;
}

/**
 * Time that passes when nothing else is left to do. Timers of the same moment come in the order they
 * were set in. Between two timers everything that follows from the first is finished: microtasks, and the
 * macrotasks that workflow turns wait for.
 */
export class VirtualClock implements Clock {
  readonly random: () => number;
  #now: number;
  #order = 0;
  /** A binary heap by (at, order). */
  readonly #heap: Timer[] = [];

  constructor(random: () => number, startMs = Date.UTC(2026, 0, 1)) {
    this.random = random;
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  setTimeout(fn: () => void, ms: number): unknown {
    const timer: Timer = { at: this.#now + Math.max(0, ms), order: this.#order++, fn };
    this.#push(timer);
    return timer;
  }

  clearTimeout(handle: unknown): void {
    if (handle) (handle as Timer).fn = undefined;
  }

  /** Lets time pass until `until` holds, `limitMs` are over, or nothing is left to happen. @returns whether it holds. */
  async run(until: () => boolean, limitMs: number): Promise<boolean> {
    const end = this.#now + limitMs;
    await settle();
    while (!until()) {
      const timer = this.#pop();
      if (!timer || timer.at > end) return false;
      if (!timer.fn) continue;
      this.#now = Math.max(this.#now, timer.at);
      timer.fn();
      await settle();
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

/** Microtasks are done, and no turn is under way any more. */
async function settle(): Promise<void> {
  await microtasks();
  while (turns > 0) {
    await new Promise((resolve) => setImmediate(resolve));
    await microtasks();
  }
}

/** All microtasks run before the next macrotask; `setImmediate` is the cheapest of them. */
function microtasks(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
