import { MessageTooLargeError, NonDeterminismError, StalledError, type StepstreamError } from "@stepstream/contracts";

/** Runs whose fault is remembered; the oldest go first. */
const KEPT = 10_000;

/**
 * Faults that the code of a run comes to whenever it is run: in this process it is run once more, then not again. Other
 * code comes with another process. (The first time may have been an accident: a read that was stale, a slow import.)
 */
export class Faults {
  readonly #times = new Map<string, { times: number; fault: StepstreamError }>();

  /** @param mark - Of the run, so that another one under the same id starts afresh. */
  add(mark: string, fault: StepstreamError): void {
    if (![StalledError, NonDeterminismError, MessageTooLargeError].some((kind) => fault instanceof kind)) return;
    const before = this.#times.get(mark);
    this.#times.delete(mark);
    const times = before?.fault.message === fault.message ? before.times + 1 : 1;
    this.#times.set(mark, { times, fault });
    if (this.#times.size > KEPT) for (const oldest of this.#times.keys()) return void this.#times.delete(oldest);
  }

  /** Why the run's code is not run again in this process. */
  of(mark: string): StepstreamError | undefined {
    const known = this.#times.get(mark);
    return known && known.times >= 2 ? known.fault : undefined;
  }
}
