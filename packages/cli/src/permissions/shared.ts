import { type Needs, NONE } from "./need.ts";

/** Where the inboxes of all users are: each has its own below, `_INBOX.<ns>.<user>`. */
export const REPLIES = "_INBOX";

export const ROLL_CALL = '{"v":1,"type":"RollCall"}';

/** Connects to the namespace, and reads histories. */
export function everyone(needs: Needs): void {
  const { ns, events, commands, timers, dead, blobs, scope } = needs;
  needs.receives(`${scope.inbox}.${NONE}.*`, `${scope.inbox}.>`, "no answer of the server arrives");
  for (const stream of [events, commands, timers, dead, blobs])
    needs.asks("STREAM.INFO", stream, "it cannot connect to the namespace");
  needs.asks("STREAM.MSG.GET", events, "histories cannot be read");
  needs.asks("DIRECT.GET", events, "histories cannot be read");
  needs.asks("DIRECT.GET", blobs, "large values cannot be read", { rest: `${ns}.blob.-`, allow: `${ns}.blob.>` });
  needs.asks("STREAM.MSG.GET", blobs, "large values that one replica lacks cannot be read");
}

/** Reads the last message of a subject from any replica. */
export function readsHistories(needs: Needs): void {
  const { ns, events } = needs;
  needs.asks("DIRECT.GET", events, "histories cannot be read", { rest: `${ns}.-`, allow: `${ns}.>` });
}
