import { CancelSlots, decode, MalformedMessageError } from "@stepstream/contracts";
import type { Clock, EventLog, Subscription } from "@stepstream/event-log";

const KEEP_MS = 60_000;
const KEEP_MAX = 10_000;

/**
 * The slots that coordinators asked for to be given up. The request is repeated every second while a slot is
 * open, so one that is lost does not matter; it is remembered for a minute, for commands still queued.
 */
export class Cancels {
  readonly #clock: Clock;
  readonly #onCancel: (run: string, slot: number, reason: string) => void;
  readonly #warn: (what: string, error: unknown) => void;
  /** `run/slot` → why and when; the oldest first. */
  readonly #recent = new Map<string, { reason: string; at: number; upTo: number }>();
  #subscription: Subscription | undefined;

  /** @param warn - Of what is ignored. */
  constructor(
    clock: Clock,
    onCancel: (run: string, slot: number, reason: string) => void,
    warn: (what: string, error: unknown) => void,
  ) {
    this.#clock = clock;
    this.#onCancel = onCancel;
    this.#warn = warn;
  }

  listen(log: EventLog): void {
    this.#subscription = log.listen(log.subjects.all.cancels(), (text, subject) => this.#take(text, subject));
  }

  stop(): void {
    this.#subscription?.stop();
  }

  /**
   * Why the slot is to be given up; undefined if nobody said so.
   * @param after - The command's: a later run of the same id is not meant.
   */
  reason(run: string, slot: number, after: number): string | undefined {
    if (this.#recent.size === 0) return undefined;
    const asked = this.#recent.get(`${run}/${slot}`);
    return asked && after <= asked.upTo && this.#clock.now() - asked.at < KEEP_MS ? asked.reason : undefined;
  }

  #take(text: string, subject: string): void {
    let asked: CancelSlots;
    try {
      asked = decode(CancelSlots, text, subject);
      if (!subject.endsWith(`.${asked.run}`)) throw new MalformedMessageError(subject, "run", "it is of another run");
    } catch (error) {
      return this.#warn("ignored a request to cancel", error); // A hint that cannot be read is no hint.
    }
    const at = this.#clock.now();
    for (const slot of asked.slots) {
      const key = `${asked.run}/${slot}`;
      this.#recent.delete(key);
      this.#recent.set(key, { reason: asked.reason, at, upTo: asked.upTo ?? Number.POSITIVE_INFINITY });
      this.#onCancel(asked.run, slot, asked.reason);
    }
    for (const [key, old] of this.#recent) {
      if (this.#recent.size <= KEEP_MAX && at - old.at < KEEP_MS) break;
      this.#recent.delete(key);
    }
  }
}
