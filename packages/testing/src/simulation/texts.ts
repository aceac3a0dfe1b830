import { isDeepStrictEqual } from "node:util";
import { RunEvent } from "@stepstream/contracts";
import type { CoordinatorOptions } from "@stepstream/coordinator";
import type { Ledger } from "./ledger.ts";

/**
 * Looks at every decision on its way to the journal: what the coordinator acts on is the event, what another reads is its
 * text, so both must say the same, and the text must be readable.
 */
export function compareTexts(ledger: Pick<Ledger, "fault">): NonNullable<CoordinatorOptions["telemetry"]> {
  const decided = (_started: unknown, _upTo: number, events: readonly { readonly event: RunEvent }[]) => {
    for (const one of events) {
      const difference = differenceIn(one as { event: RunEvent; text: string });
      if (difference) ledger.fault(difference);
    }
    return { end() {} };
  };
  return {
    traceOf: (started) => started.trace,
    decisions: () => ({ begin() {}, took() {}, rebuilt() {}, decided }),
    parked() {},
    runEnded() {},
  };
}

/** @returns What differs between an event and its text. */
export function differenceIn({ event, text }: { event: RunEvent; text: string }): string | undefined {
  const json = JSON.parse(text);
  if (!isDeepStrictEqual(json, JSON.parse(JSON.stringify(event))))
    return `event and text differ: ${JSON.stringify(event)} is written as ${text}`;
  const read = RunEvent.safeParse(json);
  return read.success ? undefined : `an event cannot be read again: ${text}`;
}
