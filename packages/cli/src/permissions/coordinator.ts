import { type Needs, NONE } from "./need.ts";
import { REPLIES, readsHistories } from "./shared.ts";

/** A coordinator decides for all runs of the namespace: it writes everything but what workers report. */
export function coordinator(needs: Needs): void {
  readsHistories(needs);
  writes(needs);
  talks(needs);
  takes(needs);
  audits(needs);
}

function writes(needs: Needs): void {
  const { ns, scope } = needs;
  const { subjects } = scope;
  const inbox = (from: string, why: string) =>
    needs.stores(`${ns}.inbox.0.${NONE}.${from}`, `${ns}.inbox.*.*.${from}`, why);
  needs.stores(subjects.journal(NONE), `${ns}.journal.>`, "no run continues");
  inbox("coordinator", "timers do not fire, and child runs cannot report their end");
  inbox("client", "child runs cannot start, or be cancelled");
  needs.stores(subjects.parked(NONE), `${ns}.parked.>`, "runs cannot be parked");
  needs.stores(subjects.command(NONE, NONE, 1), `${ns}.command.>`, "steps cannot start");
  needs.stores(subjects.timer(NONE, 1), `${ns}.timer.>`, "timers, time-outs and retries do not fire");
  needs.stores(subjects.dead("-", NONE, 0), `${ns}.dead.>`, "messages that cannot be read come again and again");
  needs.stores(`${ns}.blob.${NONE}`, `${ns}.blob.>`, "large decisions are refused");
}

function talks(needs: Needs): void {
  const { ns, scope } = needs;
  const { subjects } = scope;
  const none = `${NONE}-none`;
  needs.sends(subjects.presence, subjects.presence, "coordinators do not see each other", LEAVING);
  needs.sends(subjects.cancel(none), subjects.all.cancels(), "cancelled handlers run on until they end", CANCEL);
  needs.sends(subjects.guest(none), subjects.guest("*"), "runs of another code version wait");
  needs.sends(subjects.guestQuery(none, NONE), subjects.guestQuery("*", "*"), "queries of delegated runs fail");
  needs.sends(`${REPLIES}.${ns}.${none}.${NONE}`, `${REPLIES}.${ns}.>`, "queries get no answer");
  needs.receives(subjects.presence, subjects.presence, "coordinators do not see each other");
  needs.receives(subjects.rollCall, subjects.rollCall, "doctor and clients do not see it");
  needs.receives(`${ns}.query.${NONE}.*`, `${ns}.query.*.*`, "queries get no answer");
  needs.receives(subjects.guest(none), subjects.guest("*"), "runs of another code version wait");
  needs.receives(subjects.guestQuery(none, "*"), subjects.guestQuery("*", "*"), "queries of delegated runs fail");
}

/** Of each partition its inbox, and what timers have fired. */
function takes(needs: Needs): void {
  const { ns, events, timers, scope } = needs;
  const filters = [
    [events, NONE, "*", `${ns}.inbox.${NONE}.>`, `${ns}.inbox.*.>`],
    [timers, "due", "due", scope.subjects.all.due(), scope.subjects.all.due()],
  ] as const;
  for (const [stream, name, consumer, filter, allowed] of filters) {
    needs.asks("CONSUMER.CREATE", stream, "it cannot take messages", {
      rest: `${name}.${filter}`,
      allow: `${consumer}.${allowed}`,
    });
    needs.asks("CONSUMER.INFO", stream, "it cannot take messages", { rest: name, allow: consumer });
    needs.asks("CONSUMER.MSG.NEXT", stream, "it gets no messages", { rest: name, allow: consumer });
    needs.acks(stream, consumer, "each message is redelivered");
  }
}

/** Compares what runs wait for with what is stored, and removes what is left over. */
function audits(needs: Needs): void {
  const { ns, events, commands, timers, blobs } = needs;
  needs.asks("CONSUMER.INFO", commands, "stranded commands are not found", { rest: NONE, allow: "*" });
  for (const stream of [events, commands]) needs.asks("CONSUMER.LIST", stream, "its metrics lack the queues");
  needs.asks("DIRECT.GET", commands, "the auditor does not find deadlines of commands");
  needs.asks("STREAM.MSG.GET", commands, "commands cannot be looked up");
  needs.asks("DIRECT.GET", timers, "timers that are lost are set again after half a minute, not within 10 s");
  needs.asks("DIRECT.GET", timers, "the auditor does not know when timers fire", {
    rest: `${ns}.timer.-`,
    allow: `${ns}.timer.>`,
  });
  needs.asks("STREAM.MSG.GET", timers, "the auditor does not see timers that have fired");
  needs.asks("STREAM.PURGE", timers, "timers cannot be cancelled", { body: NOTHING });
  for (const stream of [events, commands, blobs])
    needs.asks("STREAM.MSG.DELETE", stream, "commands, and what ended runs leave, cannot be removed");
}

/** Refused, because it says two things at once; and there is nothing on that subject. */
const NOTHING = `{"filter":"${NONE}.nothing","seq":1,"keep":1}`;
/** Of a coordinator that no other knows. */
const LEAVING = `{"v":1,"type":"Presence","id":"${NONE}-none","leaving":true}`;
const CANCEL = `{"v":1,"type":"CancelSlots","run":"${NONE}-none","slots":[],"reason":"a look at permissions"}`;
