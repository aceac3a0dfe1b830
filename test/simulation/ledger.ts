const MOST = 20;

/** What was seen from outside that must never be so: what the log cannot say about itself. */
export class Ledger {
  readonly faults: string[] = [];

  /** The first 20 are kept. */
  fault(message: string): void {
    if (this.faults.length < MOST) this.faults.push(message);
  }
}
