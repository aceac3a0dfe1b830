import { type Needs, NONE } from "./need.ts";
import { ROLL_CALL, readsHistories } from "./shared.ts";

/** Starts runs, sends them messages, and waits for them. */
export function client(needs: Needs): void {
  const { ns, dead, scope } = needs;
  const { subjects } = scope;
  readsHistories(needs);
  needs.stores(
    `${ns}.inbox.0.${NONE}.client`,
    `${ns}.inbox.*.*.client`,
    "runs cannot be started, signalled, updated or cancelled",
  );
  needs.stores(`${ns}.blob.${NONE}`, `${ns}.blob.>`, "large inputs are refused");
  needs.asks("DIRECT.GET", dead, "the sender of a message that cannot be read waits for its time-out");
  needs.sends(subjects.query(NONE), `${ns}.query.*.*`, "queries get no answer");
  needs.sends(
    subjects.rollCall,
    subjects.rollCall,
    "calls that wait do not notice that no coordinator is up",
    ROLL_CALL,
  );
  needs.receives(subjects.liveJournal(NONE), `${ns}.live.journal.>`, "result() and progress notice changes late");
  needs.receives(subjects.presence, subjects.presence, "calls that wait do not notice that no coordinator is up");
}
