import assert from "node:assert/strict";
import {
  checkThoroughly,
  type InboxMessage,
  type RunContinued,
  RunEvent,
  type RunStarted,
} from "@stepstream/contracts";
import type { AnyStep, AnyWorkflow } from "@stepstream/sdk";
import { RunExecution } from "./execution.ts";
import { guardGlobals } from "./globals.ts";
import { finishTurn } from "./turn.ts";

/** Drives one run by hand, for tests: given a workflow, when these messages come, then it decides this. */
export class Play {
  readonly run: RunExecution;
  readonly events: RunEvent[] = [];
  readonly inbox: { seq: number; at: number; message: InboxMessage }[] = [];
  #seq = 0;
  #at = 1_000_000;

  constructor(workflow: AnyWorkflow, recorded: RunEvent[] = [], runId = "r1", recordedUpTo = 0) {
    guardGlobals();
    checkThoroughly();
    this.run = new RunExecution(runId, workflow, recorded, recordedUpTo);
  }

  async send(message: InboxMessage, afterMs = 1): Promise<RunEvent[]> {
    this.#at += afterMs;
    return this.deliver({ seq: ++this.#seq, at: this.#at, message });
  }

  async deliver(x: { seq: number; at: number; message: InboxMessage }): Promise<RunEvent[]> {
    this.inbox.push(x);
    this.run.fold(x.seq, x.at, x.message);
    const turn = await finishTurn(this.run, macrotask);
    const decided = turn.map(({ event, text }) => {
      const json = JSON.parse(text) as RunEvent;
      // What the coordinator acts on is what others read, and it can be read.
      assert.deepStrictEqual(JSON.parse(JSON.stringify(event)), json);
      assert.ok(RunEvent.safeParse(json).success, text);
      return json;
    });
    this.events.push(...decided);
    return decided;
  }

  start(input?: unknown, options: Partial<RunStarted> = {}) {
    const { name, version } = this.run.workflow;
    return this.send({ v: 1, type: "RunStarted", id: "m1", workflow: name, version, input, ...options });
  }
  done(slot: number, step: AnyStep, output?: unknown) {
    return this.send({ v: 1, type: "StepCompleted", slot, step: step.name, attempt: 1, output });
  }
  failed(slot: number, step: AnyStep, message = "boom", attempt = 1) {
    const error = { name: "Error", code: "ERROR", message };
    return this.send({ v: 1, type: "StepFailed", slot, step: step.name, attempt, error });
  }
  cancelled(slot: number, step: AnyStep) {
    return this.send({ v: 1, type: "StepCancelled", slot, step: step.name, attempt: 1 });
  }
  /** @param afterMs - Default: when its time has come. */
  fired(slot: number, afterMs?: number) {
    const fireAt = this.run.slots.get(slot)?.fireAt ?? 0;
    return this.send({ v: 1, type: "TimerFired", slot }, afterMs ?? Math.max(1, fireAt - this.#at));
  }
  cancel(reason = "enough", options: { cleanupMs?: number; after?: number } = {}) {
    return this.send({ v: 1, type: "CancelRequested", id: `c${this.#seq}`, reason, ...options });
  }
  terminate(reason = "now", options: { after?: number } = {}) {
    return this.send({ v: 1, type: "TerminateRequested", id: `x${this.#seq}`, reason, ...options });
  }
  signal(name: string, payload?: unknown, id = `s${this.#seq}`, after?: number) {
    return this.send({ v: 1, type: "SignalReceived", id, name, payload, after });
  }
  update(name: string, input?: unknown, id = `u${this.#seq}`, after?: number) {
    return this.send({ v: 1, type: "UpdateRequested", id, name, input, after });
  }
  childEnded(slot: number, child: string, output?: unknown) {
    return this.send({ v: 1, type: "ChildEnded", slot, child, outcome: "completed", output });
  }
  childFailed(slot: number, child: string, outcome: "failed" | "cancelled" | "terminated" = "failed") {
    const error = { name: "Error", code: "ERROR", message: "boom" };
    return this.send({ v: 1, type: "ChildEnded", slot, child, outcome, error });
  }

  /** Replays what came in on the same code: the journal must be decided again. @returns the fault, if there is one. */
  async replayed(workflow = this.run.workflow): Promise<Error | undefined> {
    const upTo = this.inbox.at(-1)?.seq ?? 0;
    const again = new Play(workflow, this.events, this.run.runId, upTo);
    for (const x of this.inbox) await again.deliver(x);
    again.run.checkReplayed([]);
    return again.run.fault;
  }

  /** Takes the run up where it last went on as new, as a coordinator does that reads no more than it must. */
  async resumed(): Promise<Play> {
    const at = this.events.findLastIndex((event) => event.type === "RunContinued");
    const continued = this.events[at] as RunContinued;
    const play = new Play(this.run.workflow, this.events.slice(at + 1), this.run.runId, this.inbox.at(-1)!.seq);
    play.run.resume(continued);
    await finishTurn(play.run, macrotask);
    for (const x of this.inbox) if (x.seq > continued.after) await play.deliver(x);
    play.run.checkReplayed([]);
    return play;
  }

  /** What was decided, in short: `a1 b2 t3 !1,2 closing:failed failed`. */
  get spelled(): string {
    return this.events.map(spell).join(" ");
  }
}

function macrotask(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function spell(event: RunEvent): string {
  switch (event.type) {
    case "StepScheduled":
      return `${event.compensation ? "~" : ""}${event.step}${event.slot}`;
    case "TimerStarted":
      return `${event.for ?? "t"}${event.slot}`;
    case "ChildScheduled":
      return `<${event.run}>${event.slot}`;
    case "SignalAccepted":
      return `+${event.name}`;
    case "SignalRefused":
      return `-${event.name}`;
    case "UpdateAccepted":
      return `?${event.name}`;
    case "UpdateRefused":
      return "refused";
    case "UpdateCompleted":
      return `=${JSON.stringify(event.output)}`;
    case "UpdateFailed":
      return "=!";
    case "Patched":
      return `patch:${event.id}`;
    case "SideEffectRecorded":
      return event.error ? `record:!${event.error.message}` : `record:${JSON.stringify(event.value)}`;
    case "RunTimedOut":
      return "time-out";
    case "RunContinued":
      return `anew:${JSON.stringify(event.start.input)}`;
    case "RunTerminated":
      return `terminated${(event.children ?? []).map((c) => ` ${c.how}:${c.run}`).join("")}`;
    case "RetryScheduled":
      return `later${event.slot}`;
    case "StepRescheduled":
      return `again${event.slot}`;
    case "SlotsCancelled":
      return `!${event.slots.join(",")}`;
    case "ProgressReported":
      return `${event.percent}%`;
    case "CancelAccepted":
      return "cancel";
    case "RunClosing":
      return `closing:${event.outcome}`;
    case "CompensationFailed":
      return `!~${event.slot}`;
    case "RunCompleted":
      return "completed";
    case "RunFailed":
      return "failed";
    case "RunCancelled":
      return "cancelled";
    default:
      return event satisfies never;
  }
}
