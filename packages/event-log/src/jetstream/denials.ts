import type { Clock } from "../clock.ts";
import type { Denial, DenialReport, Subscription } from "../port.ts";
import { errorOfDenial } from "./permissions.ts";

/**
 * Reports what nats-server does not permit.
 *
 * D1. Each permission that is missing is reported at once, then at most once in 10 s, with how often it was denied meanwhile.
 * D2. Without a listener, what no call has thrown is a warning of the process.
 * D3. What was denied in the last minute can be asked for; of more than 100 permissions the latest.
 *
 * Checked elsewhere:
 *   D1  denials.test.ts: is reported at once, then at most once in 10 s, with a count (D1)
 *   D2  denials.test.ts: is a warning of the process where there is no listener and no call has thrown it (D2)
 *   D3  denials.test.ts: can be asked for, for a minute; of more than 100 the latest (D3)
 */
const REPORT_MS = 10_000;
const KEPT_MS = 60_000;
const KEPT_MAX = 100;

export class Denials {
  readonly #clock: Clock;
  readonly #listeners = new Set<(report: DenialReport) => void>();
  /** By operation and permission, the latest last. */
  readonly #known = new Map<string, { denial: Denial; at: number; reportedAt: number; unreported: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  onReport(fn: (report: DenialReport) => void): Subscription {
    const own = (report: DenialReport) => fn(report);
    this.#listeners.add(own);
    return { stop: () => void this.#listeners.delete(own) };
  }

  /** @param thrown - A call has it as its error. */
  note(denial: Denial, thrown: boolean): void {
    const now = this.#clock.now();
    const key = `${denial.operation} ${denial.needed}`;
    const known = this.#known.get(key);
    this.#known.delete(key);
    if (known && now - known.reportedAt < REPORT_MS) {
      this.#known.set(key, { ...known, denial, at: now, unreported: known.unreported + 1 });
      return;
    }
    this.#known.set(key, { denial, at: now, reportedAt: now, unreported: 0 });
    if (this.#known.size > KEPT_MAX) this.#known.delete(this.#known.keys().next().value!);
    this.#report({ ...denial, more: known?.unreported ?? 0, thrown, error: errorOfDenial(denial) });
  }

  recent(): Denial[] {
    const now = this.#clock.now();
    for (const [key, { at }] of this.#known) if (now - at > KEPT_MS) this.#known.delete(key);
    return [...this.#known.values()].map(({ denial }) => denial);
  }

  #report(report: DenialReport): void {
    if (this.#listeners.size === 0 && !report.thrown) warn(report.error.message);
    for (const listener of [...this.#listeners]) {
      try {
        listener(report);
      } catch (error) {
        warn(`A listener to denied permissions threw: ${error}`);
      }
    }
  }
}

function warn(text: string): void {
  process.emitWarning(text, { type: "StepstreamWarning" });
}
