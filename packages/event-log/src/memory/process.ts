import type { Clock } from "../clock.ts";

/**
 * A process as the server sees it: what reaches it, and when.
 *
 * P1. Killed, nothing reaches it any more, its own timers included: none of its promises ever settles.
 * P2. Paused, everything waits and then arrives in one go, its own timers included: a zombie.
 * P3. Cut off, what is on the wire to it is lost; connected again, it has another connection.
 */
export class Process {
  readonly name: string;
  readonly clock: Clock;
  #state: "alive" | "paused" | "killed" = "alive";
  #waiting: (() => void)[] = [];
  /** Which connection it has; changes with every cut. */
  connection = 1;
  connected = true;

  constructor(name: string, clock: Clock) {
    this.name = name;
    this.clock = {
      now: () => clock.now(),
      random: () => clock.random(),
      setTimeout: (fn, ms) => clock.setTimeout(() => this.reach(fn), ms),
      clearTimeout: (handle) => clock.clearTimeout(handle),
    };
  }

  get killed(): boolean {
    return this.#state === "killed";
  }

  /** Runs `fn` in the process: now, when it wakes up, or never. */
  reach(fn: () => void): void {
    if (this.#state === "alive") fn();
    else if (this.#state === "paused") this.#waiting.push(fn);
  }

  kill(): void {
    this.#state = "killed";
    this.connected = false;
    this.connection++;
    this.#waiting = [];
  }

  pause(): void {
    if (this.#state === "alive") this.#state = "paused";
  }

  resume(): void {
    if (this.#state !== "paused") return;
    this.#state = "alive";
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const fn of waiting) fn();
  }
}
