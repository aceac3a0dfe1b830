import { probeSubjects } from "../doctor/probe.ts";
import { type Need, Needs, NONE, type Scope } from "./need.ts";
import { ROLL_CALL } from "./shared.ts";

/** Looks at everything in the namespace, and changes nothing. */
export function viewer(needs: Needs): void {
  const { events, commands, timers, dead, ns, scope } = needs;
  const { subjects } = scope;
  if (needs.role === "viewer") {
    needs.sends(subjects.rollCall, subjects.rollCall, "queue and doctor see no process", ROLL_CALL);
    needs.receives(subjects.presence, subjects.presence, "queue and doctor see no coordinator");
    needs.receives(subjects.liveJournal(NONE), `${ns}.live.journal.>`, "watch notices changes late");
    needs.asks("DIRECT.GET", dead, "dead letters cannot be read");
  }
  needs.receives(subjects.workers, subjects.workers, "no worker is seen");
  for (const stream of [events, commands, timers]) needs.asks("CONSUMER.LIST", stream, "queue and doctor fail");
  for (const stream of [events, commands, timers])
    needs.asks("CONSUMER.INFO", stream, "show and doctor fail", { rest: NONE, allow: "*" });
  needs.asks("DIRECT.GET", commands, "queue does not know how old commands are");
  needs.asks("STREAM.MSG.GET", commands, "queue, show and doctor fail");
  needs.asks("STREAM.MSG.GET", dead, "dead letters cannot be read");
  needs.sends("$JS.API.INFO", "$JS.API.INFO", "the limits of the account are not known");
}

/** Removes runs, and administers the namespace. What a client may, and a viewer, an operator may as well. */
export function operator(needs: Needs): void {
  const { events, commands, timers, dead, blobs } = needs;
  for (const stream of [events, commands, timers, dead, blobs]) {
    needs.asks("STREAM.MSG.DELETE", stream, "runs cannot be deleted, and doctor fails");
    for (const what of ["STREAM.CREATE", "STREAM.UPDATE", "STREAM.DELETE"])
      needs.asks(what, stream, "the namespace cannot be made, changed or deleted");
  }
  stores(needs);
}

/** What doctor needs to try whether streams store. */
export function probeNeeds(scope: Scope): readonly Need[] {
  const needs = new Needs("operator", scope);
  stores(needs);
  return needs.all;
}

function stores(needs: Needs): void {
  for (const subject of probeSubjects(needs.ns))
    needs.stores(subject.replace(/>$/, "none"), subject, "doctor cannot try whether streams store");
}
