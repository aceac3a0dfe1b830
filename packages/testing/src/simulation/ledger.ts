const MOST = 20;

/** What was seen from outside that must never be so, and how often each kind of mishap happened. */
export class Ledger {
  readonly faults: string[] = [];
  readonly mishaps: Record<string, number> = {};

  /** So much has gone wrong that there is no point in going on. */
  get full(): boolean {
    return this.faults.length >= MOST;
  }

  /** The first 20 are kept. */
  fault(message: string): void {
    if (this.faults.length < MOST) this.faults.push(message);
  }

  count(what: string): void {
    this.mishaps[what] = (this.mishaps[what] ?? 0) + 1;
  }
}
