import { type Subjects, senderOf } from "@stepstream/contracts";
import { probeSubjects } from "./probe.ts";

/** The kinds of processes that connect to a namespace. */
export const ROLES = ["client", "worker", "coordinator", "operator"] as const;
export type Role = (typeof ROLES)[number];

/** One thing that a role must be allowed to do on the bus. */
export interface Need {
  readonly role: Role;
  readonly does: "publish" | "subscribe";
  /** A subject of the kind that the role uses. Publishing to it changes nothing: see `body`. */
  readonly subject: string;
  /** What the permission is written like. */
  readonly allow: string;
  /** What is published: without effect, because it is not valid, or says nothing. */
  readonly body: string;
  /** The stream that stores the subject: it refuses a message that expects another one. */
  readonly stored: boolean;
  /** What does not work without. */
  readonly why: string;
}

/** A run that does not exist. */
const RUN = "doctor";
/**
 * The server refuses it as a request, and every process of ours as a message. It begins like JSON for a reason: nats-server
 * takes a request whose body does not for one without a body, and a purge without a body removes everything.
 */
const INVALID = "{doctor";

/**
 * What each role does on the bus. A step or consumer named "doctor" stands for all.
 *
 * Checked elsewhere: test/cli/doctor/denied.test.ts takes one away after the other, and looks whether the role notices.
 */
export function needsOf(subjects: Subjects, inboxPrefix: string): Need[] {
  const ns = subjects.namespace;
  const [events, commands, timers, dead] = (["EVENTS", "COMMANDS", "TIMERS", "DEAD"] as const).map((kind) =>
    subjects.streamName(kind),
  ) as [string, string, string, string];
  const blobs = `${ns}_BLOBS`;
  const needs: Need[] = [];
  const allowed = (kind: string, subject: string) =>
    kind === "inbox" ? `${ns}.inbox.*.*.${senderOf(subject)}` : `${ns}.${kind}.>`;
  const of = (role: Role) => ({
    stores: (subject: string, kind: string, why: string) =>
      needs.push({ role, does: "publish", subject, allow: allowed(kind, subject), body: INVALID, stored: true, why }),
    sends: (subject: string, allow: string, why: string, body = INVALID, stored = false) =>
      needs.push({ role, does: "publish", subject, allow, body, stored, why }),
    asks: (name: string, stream: string, why: string, rest = "") =>
      needs.push({
        ...{ role, does: "publish", subject: `$JS.API.${name}.${stream}${rest}` },
        ...{ allow: `$JS.API.${name}.${stream}${rest && ".>"}`, body: INVALID, stored: false, why },
      }),
    acks: (stream: string, why: string) =>
      needs.push({
        ...{ role, does: "publish", subject: `$JS.ACK.${stream}.doctor.1.1.1.1.0` },
        ...{ allow: `$JS.ACK.${stream}.>`, body: INVALID, stored: false, why },
      }),
    receives: (subject: string, allow: string, why: string) =>
      needs.push({ role, does: "subscribe", subject, allow, body: "", stored: false, why }),
  });

  for (const role of ROLES) {
    const { asks, receives } = of(role);
    receives(`${inboxPrefix}.doctor.*`, `${inboxPrefix}.>`, "no answer of the server arrives");
    for (const stream of [events, commands, timers, dead, blobs])
      asks("STREAM.INFO", stream, "it cannot connect to the namespace");
    for (const stream of [events, blobs])
      asks("DIRECT.GET", stream, "histories and large values cannot be read", `.${ns}.-`);
    asks("DIRECT.GET", events, "histories cannot be read");
    asks("STREAM.MSG.GET", events, "histories cannot be read");
  }

  for (const client of [of("client"), of("operator")]) {
    client.stores(
      subjects.inboxFrom("client", RUN),
      "inbox",
      "runs cannot be started, signalled, updated or cancelled",
    );
    client.stores(`${ns}.blob.${RUN}`, "blob", "large inputs are refused");
    client.sends(`${ns}.query.doctor.${RUN}`, `${ns}.query.>`, "queries get no answer");
    client.sends(
      subjects.rollCall,
      subjects.rollCall,
      "calls that wait do not notice that no coordinator is up",
      ROLL_CALL,
    );
    client.receives(subjects.liveJournal(RUN), `${ns}.live.journal.>`, "result() and progress notice changes late");
    client.receives(subjects.presence, subjects.presence, "calls that wait do not notice that no coordinator is up");
  }

  const worker = of("worker");
  worker.stores(subjects.inboxFrom("worker", RUN), "inbox", "results of steps cannot be reported");
  worker.stores(subjects.attempts(RUN, 1), "attempts", "failed attempts and heartbeats cannot be recorded");
  worker.stores(subjects.dead("doctor", RUN, 1), "dead", "commands that cannot be read come again and again");
  worker.stores(`${ns}.blob.${RUN}`, "blob", "large outputs are refused");
  worker.sends(subjects.workers, subjects.workers, "doctor and queue do not see it");
  worker.sends(subjects.breaker("doctor"), `${ns}.breaker.>`, "changes of circuit breakers are not reported");
  worker.receives(subjects.rollCall, subjects.rollCall, "doctor and queue do not see it");
  worker.receives(subjects.all.cancels(), `${ns}.cancel.*`, "cancelled handlers run on until they end");
  worker.asks("CONSUMER.CREATE", commands, "it cannot take commands", `.doctor.${ns}.command.doctor.>`);
  worker.asks("CONSUMER.INFO", commands, "it cannot take commands", ".doctor");
  worker.asks("CONSUMER.MSG.NEXT", commands, "it gets no commands", ".doctor");
  worker.acks(commands, "each command is redelivered and its handler runs again");

  const coordinator = of("coordinator");
  coordinator.stores(subjects.journal(RUN), "journal", "no run continues");
  coordinator.stores(subjects.inboxFrom("client", RUN), "inbox", "child runs cannot start");
  coordinator.stores(
    subjects.inboxFrom("coordinator", RUN),
    "inbox",
    "timers do not fire, child runs cannot report their end",
  );
  coordinator.stores(subjects.attempts(RUN, 1), "attempts", "attempts cannot be recorded");
  coordinator.stores(subjects.parked(RUN), "parked", "runs cannot be parked");
  coordinator.stores(subjects.command("doctor", RUN, 1), "command", "steps cannot start");
  coordinator.stores(subjects.timer(RUN, 1), "timer", "timers, time-outs and retries do not fire");
  coordinator.stores(subjects.dead("-", RUN, 0), "dead", "messages that cannot be read come again and again");
  coordinator.stores(`${ns}.blob.${RUN}`, "blob", "large decisions are refused");
  coordinator.sends(subjects.presence, subjects.presence, "coordinators do not see each other", LEAVING);
  coordinator.sends(
    subjects.cancel("doctor-none"),
    `${ns}.cancel.*`,
    "cancelled handlers run on until they end",
    CANCEL,
  );
  coordinator.sends(subjects.guest("doctor-none"), `${ns}.guest.>`, "runs of another code version wait");
  coordinator.sends(subjects.guestQuery("doctor-none", RUN), `${ns}.guest-query.>`, "queries of delegated runs fail");
  coordinator.receives(subjects.presence, subjects.presence, "coordinators do not see each other");
  coordinator.receives(subjects.rollCall, subjects.rollCall, "doctor and clients do not see it");
  coordinator.receives(`${ns}.query.doctor.*`, `${ns}.query.>`, "queries get no answer");
  coordinator.receives(subjects.guest("doctor-none"), `${ns}.guest.>`, "runs of another code version wait");
  coordinator.receives(`${ns}.guest-query.doctor-none.*`, `${ns}.guest-query.>`, "queries of delegated runs fail");
  for (const stream of [events, timers]) {
    coordinator.asks("CONSUMER.CREATE", stream, "it cannot take messages", `.doctor.${ns}.inbox.0.>`);
    coordinator.asks("CONSUMER.INFO", stream, "it cannot take messages", ".doctor");
    coordinator.asks("CONSUMER.MSG.NEXT", stream, "it gets no messages", ".doctor");
    coordinator.acks(stream, "each message is redelivered");
  }
  coordinator.asks("CONSUMER.INFO", commands, "stranded commands are not found", ".doctor");
  coordinator.asks("STREAM.MSG.GET", commands, "commands cannot be looked up");
  coordinator.asks("DIRECT.GET", timers, "the auditor does not know when timers fire", `.${ns}.-`);
  coordinator.asks("STREAM.MSG.GET", timers, "the auditor does not see timers that have fired");
  coordinator.sends(
    `$JS.API.STREAM.PURGE.${timers}`,
    `$JS.API.STREAM.PURGE.${timers}`,
    "timers cannot be cancelled",
    NOTHING,
  );
  for (const stream of [events, commands, timers])
    coordinator.asks("STREAM.MSG.DELETE", stream, "commands and messages cannot be removed");
  coordinator.asks("STREAM.MSG.GET", blobs, "large values of deleted runs stay");
  coordinator.asks("STREAM.MSG.DELETE", blobs, "large values of deleted runs stay");

  const operator = of("operator");
  for (const stream of [events, commands, timers]) operator.asks("CONSUMER.LIST", stream, "queue and doctor fail");
  operator.asks("CONSUMER.CREATE", events, "ls fails", ".doctor");
  operator.asks("CONSUMER.MSG.NEXT", events, "ls fails", ".doctor");
  operator.asks("STREAM.MSG.GET", commands, "queue and doctor fail");
  operator.asks("STREAM.MSG.GET", dead, "dead letters cannot be read");
  for (const stream of [events, commands, timers, dead, blobs])
    operator.asks("STREAM.MSG.DELETE", stream, "runs cannot be deleted, and doctor fails");
  operator.receives(subjects.workers, subjects.workers, "no worker is seen");
  operator.sends("$JS.API.INFO", "$JS.API.INFO", "the limits of the account are not known");
  for (const subject of probeSubjects(ns))
    operator.sends(subject.replace(/>$/, "none"), subject, "doctor cannot try whether streams store", INVALID, true);
  return needs;
}

/** Refused, because it says two things at once; and there is nothing on that subject. */
const NOTHING = '{"filter":"doctor.nothing","seq":1,"keep":1}';
const ROLL_CALL = '{"v":1,"type":"RollCall"}';
/** Of a coordinator that no other knows. */
const LEAVING = '{"v":1,"type":"Presence","id":"doctor-none","leaving":true}';
const CANCEL = '{"v":1,"type":"CancelSlots","run":"doctor-none","slots":[],"reason":"a look at permissions"}';
