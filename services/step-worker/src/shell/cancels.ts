import { CancelSlots, decode, StepCancelledError } from "@stepstream/contracts";
import type { Clock, EventLog, Subscription } from "@stepstream/event-log";

const KEPT_MS = 60_000;

/**
 * Which slots are wanted no more. Coordinators say so once a second while it matters; it reaches attempts
 * that run, and commands that this worker takes later.
 */
export class Cancels {
  readonly #clock: Clock;
  readonly #running = new Map<string, Set<AbortController>>();
  readonly #recent = new Map<string, { reason: string; at: number }>();
  readonly #subscription: Subscription;

  constructor(log: EventLog, clock: Clock) {
    this.#clock = clock;
    this.#subscription = log.listen(log.subjects.all.cancels(), (text, subject) => {
      const { run, slots, reason } = decode(CancelSlots, text, subject);
      for (const slot of slots) this.#cancel(run, slot, reason);
    });
  }

  /** Is the slot cancelled? With the reason. */
  reasonOf(run: string, slot: number): string | undefined {
    return this.#recent.get(`${run}/${slot}`)?.reason;
  }

  /** Aborts `controller` when the slot is cancelled. @returns what ends that. */
  watch(run: string, slot: number, controller: AbortController): () => void {
    const key = `${run}/${slot}`;
    let controllers = this.#running.get(key);
    if (!controllers) {
      controllers = new Set();
      this.#running.set(key, controllers);
    }
    controllers.add(controller);
    return () => {
      controllers.delete(controller);
      if (controllers.size === 0) this.#running.delete(key);
    };
  }

  stop(): void {
    this.#subscription.stop();
  }

  #cancel(run: string, slot: number, reason: string): void {
    const key = `${run}/${slot}`;
    const now = this.#clock.now();
    this.#recent.delete(key);
    this.#recent.set(key, { reason, at: now });
    for (const [old, { at }] of this.#recent) {
      if (now - at <= KEPT_MS) break;
      this.#recent.delete(old);
    }
    for (const controller of this.#running.get(key) ?? [])
      controller.abort(new StepCancelledError({ run, slot }, reason));
  }
}
