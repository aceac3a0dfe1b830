import { setTimeout } from "node:timers";
import type { VirtualClock } from "../clock.ts";
import { NothingLeftError, NotWithinError } from "./errors.ts";

/** What time has to know of the world it passes in. */
export interface World {
  /** Does the test wait for something of its client? */
  waits(): boolean;
  /** Is nothing under way: no command, no message, no process that starts? */
  quiet(): boolean;
  /** When the next stored timer fires. */
  nextTimerAt(): number | undefined;
  /** Grows with everything that is stored or removed. */
  activity(): number;
  /** The longest silence that some process takes for a stall, in milliseconds. */
  rhythmMs(): number;
  /** Something has gone wrong for good: who waits is told. */
  trouble(): Error | undefined;
  /** Who waits for what, for people. */
  situation(): string;
  /** Ends all that the client waits for. */
  fail(error: Error): void;
}

interface Goal {
  reached(): boolean;
  /** Time stops here, in epoch milliseconds. */
  endAt: number;
  /** What happens if the end comes first; undefined: that is the goal. */
  tooLate: Error | undefined;
  settle(error?: Error): void;
}

/** Nothing has happened for so long, and no timer is stored: nothing will. */
const CALM_MS = 60_000;
/** Time leaps after so long a silence, and lands so long before what it leaps to. */
const TAKE_OFF_MS = 15_000;
const LANDING_MS = 30_000;
const LOOK_MS = 10;

/**
 * Lets virtual time pass while somebody waits for something, and only then.
 *
 * T1. Who is reached by a goal, or by an answer, has their say before time goes on.
 * T2. Through times in which nothing is under way it leaps, to shortly before the next stored timer or goal.
 * T3. If somebody waits and nothing can happen any more, they are told so, after a moment of real time for a test that
 *     is busy with something else.
 */
export class Time {
  readonly #clock: VirtualClock;
  readonly #world: World;
  readonly #patienceMs: number;
  readonly #goals = new Set<Goal>();
  #running = false;
  #closed: Error | undefined;
  #activity = 0;
  #activeAt = 0;

  constructor(clock: VirtualClock, world: World, patienceMs: number) {
    this.#clock = clock;
    this.#world = world;
    this.#patienceMs = patienceMs;
    clock.onPassing = () => this.#leap();
  }

  /** So much time passes, whatever happens. */
  advance(ms: number): Promise<void> {
    return this.#aim({ reached: () => false, endAt: this.#clock.now() + ms, tooLate: undefined });
  }

  /** @throws {NotWithinError} @throws {NothingLeftError} It will never be so. */
  until(reached: () => boolean, withinMs: number): Promise<void> {
    return this.#aim({ reached, endAt: this.#clock.now() + withinMs, tooLate: new NotWithinError(withinMs) });
  }

  /** Until nothing is left that happens by itself. */
  idle(withinMs: number): Promise<void> {
    return this.until(() => this.#nothingLeft(), withinMs);
  }

  /** Somebody may wait now. */
  wake(): void {
    if (this.#running || this.#closed) return;
    this.#running = true;
    void this.#run();
  }

  /** Stands still from now on. */
  close(error: Error): void {
    this.#closed = error;
    this.#failGoals(error);
  }

  // ---------------------------------------------------------------- the loop

  #aim(goal: Omit<Goal, "settle">): Promise<void> {
    if (this.#closed) return Promise.reject(this.#closed);
    return new Promise((resolve, reject) => {
      const settle = (error?: Error) => (error ? reject(error) : resolve());
      this.#goals.add({ ...goal, settle });
      this.wake();
    });
  }

  async #run(): Promise<void> {
    // A calm counts from when somebody began to wait.
    this.#activeAt = this.#clock.now();
    try {
      while (!this.#closed) {
        await this.#clock.settled();
        if (this.#reach()) {
          this.#activeAt = this.#clock.now();
          continue;
        }
        if (this.#goals.size === 0 && !this.#world.waits()) break;
        if (this.#isOver()) await this.#giveUp();
        if (!this.#closed) this.#clock.step(this.#endAt());
      }
    } catch (error) {
      this.close(error as Error);
    } finally {
      this.#running = false;
    }
  }

  /** Settles the goals that are reached. @returns whether there was one. */
  #reach(): boolean {
    let any = false;
    const now = this.#clock.now();
    const trouble = this.#world.trouble();
    for (const goal of this.#goals) {
      const settle = (error?: Error) => {
        any = true;
        this.#goals.delete(goal);
        goal.settle(error);
      };
      try {
        if (trouble) settle(trouble);
        else if (goal.reached()) settle();
        else if (now >= goal.endAt) settle(goal.tooLate);
      } catch (error) {
        settle(error as Error);
      }
    }
    return any;
  }

  #endAt(): number {
    let endAt = Number.POSITIVE_INFINITY;
    for (const goal of this.#goals) endAt = Math.min(endAt, goal.endAt);
    return endAt;
  }

  #leap(): void {
    this.#look();
    if (!this.#world.quiet() || this.#clock.now() - this.#activeAt < TAKE_OFF_MS) return;
    const target = Math.min(this.#world.nextTimerAt() ?? Number.POSITIVE_INFINITY, this.#appointment());
    if (!Number.isFinite(target)) return;
    const landing = Math.max(LANDING_MS, this.#world.rhythmMs());
    this.#clock.leap(target - landing - this.#clock.now());
  }

  /** The next time that somebody has asked for. */
  #appointment(): number {
    let at = Number.POSITIVE_INFINITY;
    for (const goal of this.#goals) if (!goal.tooLate) at = Math.min(at, goal.endAt);
    return at;
  }

  // ---------------------------------------------------------------- nothing left

  #nothingLeft(): boolean {
    return this.#world.quiet() && this.#world.nextTimerAt() === undefined;
  }

  /** Has something happened since it was last looked? */
  #look(): void {
    const activity = this.#world.activity();
    if (activity === this.#activity) return;
    this.#activity = activity;
    this.#activeAt = this.#clock.now();
  }

  /** Nothing happens any more, and nobody has asked for time to pass all the same. */
  #isOver(): boolean {
    this.#look();
    if (!this.#nothingLeft() || this.#appointment() < Number.POSITIVE_INFINITY) return false;
    return this.#clock.now() - this.#activeAt >= CALM_MS;
  }

  async #giveUp(): Promise<void> {
    const { size } = this.#goals;
    for (let waited = 0; waited < this.#patienceMs; waited += LOOK_MS) {
      if (this.#closed || this.#goals.size !== size || this.#world.activity() !== this.#activity) return;
      if (size === 0 && !this.#world.waits()) return;
      await new Promise((resolve) => void setTimeout(resolve, LOOK_MS));
    }
    const error = new NothingLeftError(this.#world.situation());
    this.#activeAt = this.#clock.now();
    this.#failGoals(error);
    this.#world.fail(error);
  }

  #failGoals(error: Error): void {
    for (const goal of this.#goals) goal.settle(error);
    this.#goals.clear();
  }
}
