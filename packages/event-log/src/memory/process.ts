import type { Clock } from "../clock.ts";

/** A timer of a process. `fn` is gone once it has fired or was cleared. */
interface Timer {
  fn: (() => void) | undefined;
  handle: unknown;
}

/** A pull that is not renewed ends after this time. */
const PULL_EXPIRES_MS = 2_000;

/**
 * A process as the server sees it: what reaches it, and when.
 *
 * P1. Killed, nothing reaches it any more, its own timers included: none of its promises ever settles. What it had
 *     sent before is on its way.
 * P2. Paused, everything waits: messages and its own timers. Awake, all of it comes in one go, one after the other
 *     with what follows from it, a zombie's day. Its timers may come before its messages or after them, as in
 *     Node.js, where it depends on what the event loop was at.
 * P3. A timer cleared while it waits does not fire.
 * P4. What it had asked for before a pause is still sent to it, for up to two seconds: then its pulls have expired.
 * P5. Each cut gives it another connection; what is on the way on the old one is lost, both ways.
 *
 * Checked elsewhere:
 *   P1  test/simulation/log.test.ts: never hears again, of anything
 *   P2  test/simulation/log.test.ts: gets everything in one go when it wakes: answers, deliveries, hints, its own timers
 *   P3  test/simulation/log.test.ts: does not fire a timer that it clears before reading it
 *   P4  test/simulation/log.test.ts: is sent what it had asked for, until its pulls have expired; then others get it
 *   P5  test/simulation/log.test.ts: is lost also if the process is back before the server notices
 */
export class Process {
  readonly name: string;
  /** Time as the process sees it. */
  readonly clock: Clock;
  readonly #clock: Clock;
  #state: "alive" | "paused" | "waking" | "closed" | "killed" = "alive";
  /** How many pauses are not over. */
  #pauses = 0;
  #pullsUntil = 0;
  #timersFirst = false;
  readonly #timers: (() => void)[] = [];
  readonly #unread: (() => void)[] = [];
  /** Which connection it has. */
  connection = 1;
  connected = true;
  /** Called when it wakes up. */
  onWake: (() => void) | undefined;
  /** Called when it sets a timer. */
  onWait: (() => void) | undefined;
  #waits = 0;

  constructor(name: string, clock: Clock) {
    this.name = name;
    this.#clock = clock;
    this.clock = {
      now: () => clock.now(),
      random: () => clock.random(),
      setTimeout: (fn, ms) => this.#setTimer(fn, ms),
      clearTimeout: (handle) => {
        if (!handle) return;
        const timer = handle as Timer;
        if (timer.fn) this.#waits--;
        timer.fn = undefined;
        clock.clearTimeout(timer.handle);
      },
    };
  }

  /** How many timers it has set that have not fired: while there are some, it waits for something. */
  get waits(): number {
    return this.#waits;
  }

  get killed(): boolean {
    return this.#state === "killed";
  }
  get closed(): boolean {
    return this.#state === "closed";
  }

  /** Whether its pulls are open: awake, it renews them. */
  get pulling(): boolean {
    return this.#state !== "paused" || this.#clock.now() < this.#pullsUntil;
  }

  /** Something from outside gets to the process: it sees it now, when it wakes up, or never. */
  reach(fn: () => void): void {
    if (this.#state === "alive") fn();
    else if (this.#state === "paused" || this.#state === "waking") this.#unread.push(fn);
  }

  /** Runs `fn` once all that lies unread has been read. */
  whenRead(fn: () => void): void {
    if (this.#unread.length > 0) this.#unread.push(fn);
    else fn();
  }

  kill(): void {
    this.#end("killed");
  }

  close(): void {
    if (this.#state !== "killed") this.#end("closed");
  }

  /** Frozen for `ms`, or longer if it is already. */
  pause(ms: number): void {
    if (this.killed || this.closed) return;
    if (this.#pauses++ === 0) this.#pullsUntil = this.#clock.now() + this.#clock.random() * PULL_EXPIRES_MS;
    this.#state = "paused";
    this.#clock.setTimeout(() => this.#wake(), ms);
  }

  #wake(): void {
    if (--this.#pauses > 0 || this.#state !== "paused") return;
    this.#state = "waking";
    this.#timersFirst = this.#timers.length > 0 && this.#unread.length > 0 && this.#clock.random() < 0.5;
    this.onWake?.();
    this.#catchUp();
  }

  #catchUp(): void {
    if (this.#state !== "waking") return;
    const [first, second] = this.#timersFirst ? [this.#timers, this.#unread] : [this.#unread, this.#timers];
    const next = first.shift() ?? second.shift();
    if (!next) {
      this.#state = "alive";
      return;
    }
    next();
    this.#clock.setTimeout(() => this.#catchUp(), 0);
  }

  #setTimer(fn: () => void, ms: number): Timer {
    const timer: Timer = { fn, handle: undefined };
    this.#waits++;
    this.onWait?.();
    const fire = () => {
      const { fn } = timer;
      if (!fn) return;
      this.#waits--;
      timer.fn = undefined;
      fn();
    };
    timer.handle = this.#clock.setTimeout(() => {
      if (this.#state === "alive" || this.#state === "closed") fire();
      else if (!this.killed) this.#timers.push(fire);
    }, ms);
    return timer;
  }

  #end(state: "closed" | "killed"): void {
    this.#state = state;
    this.connected = false;
    this.#timers.length = 0;
    this.#unread.length = 0;
  }
}
