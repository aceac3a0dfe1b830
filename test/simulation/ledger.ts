/** One call of a handler, as the world saw it. */
export interface Call {
  readonly process: string;
  readonly run: string;
  readonly slot: number;
  readonly step: string;
  readonly attempt: number;
  readonly startedAt: number;
  endedAt: number | undefined;
}

/** Every call of every handler, from outside: what the log cannot say about itself. */
export class Ledger {
  readonly calls: Call[] = [];
  readonly faults: string[] = [];

  start(call: Omit<Call, "endedAt">): Call {
    const started: Call = { ...call, endedAt: undefined };
    this.calls.push(started);
    return started;
  }

  /** Something that must never be so. */
  fault(message: string): void {
    if (this.faults.length < 20) this.faults.push(message);
  }

  running(run: string): Call[] {
    return this.calls.filter((call) => call.run === run && call.endedAt === undefined);
  }
}
