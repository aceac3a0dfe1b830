const MOST = 20;

/** What was seen from outside that must never be so, and how often each kind of mishap happened. */
export class Ledger {
  readonly faults: string[] = [];
  readonly mishaps: Record<string, number> = {};

  /** The run for which a promise of the engine does not hold. */
  violated: string | undefined;

  /** So much has gone wrong that there is no point in going on. */
  get full(): boolean {
    return this.violated !== undefined || this.faults.length >= MOST;
  }

  /** The first 20 are kept. */
  fault(message: string): void {
    if (this.faults.length < MOST) this.faults.push(message);
  }

  /** A promise of the engine does not hold for a run. It never ends now, and what comes after says less. */
  violation(run: string, message: string): void {
    this.fault(message);
    this.violated ??= run;
  }

  count(what: string, times = 1): void {
    this.mishaps[what] = (this.mishaps[what] ?? 0) + times;
  }
}
