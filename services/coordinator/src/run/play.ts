import type { InboxMessage, RunEvent } from "@stepstream/contracts";
import type { AnyStep, AnyWorkflow } from "@stepstream/sdk";
import { RunExecution } from "./execution.ts";
import { guardGlobals } from "./globals.ts";

/** Drives one run by hand, for tests: given a workflow, when these messages come, then it decides this. */
export class Play {
  readonly run: RunExecution;
  readonly events: RunEvent[] = [];
  readonly inbox: { seq: number; at: number; message: InboxMessage }[] = [];
  #seq = 0;
  #at = 1_000_000;

  constructor(workflow: AnyWorkflow, recorded: RunEvent[] = [], runId = "r1") {
    guardGlobals();
    this.run = new RunExecution(runId, workflow, recorded);
  }

  async send(message: InboxMessage, afterMs = 1): Promise<RunEvent[]> {
    this.#at += afterMs;
    return this.deliver({ seq: ++this.#seq, at: this.#at, message });
  }

  async deliver(x: { seq: number; at: number; message: InboxMessage }): Promise<RunEvent[]> {
    this.inbox.push(x);
    this.run.fold(x.seq, x.at, x.message);
    await new Promise((resolve) => setImmediate(resolve));
    const decided = this.run.endTurn().map((d) => JSON.parse(d.text) as RunEvent);
    this.events.push(...decided);
    return decided;
  }

  start(input: unknown) {
    const { name, version } = this.run.workflow;
    return this.send({ v: 1, type: "RunStarted", id: "m1", workflow: name, version, input });
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
  fired(slot: number, afterMs = 1) {
    return this.send({ v: 1, type: "TimerFired", slot }, afterMs);
  }
  cancel(reason = "enough") {
    return this.send({ v: 1, type: "CancelRequested", id: `c${this.#seq}`, reason });
  }

  /** What was decided, in short: `a1 b2 t3 !1,2 closing:failed failed`. */
  get spelled(): string {
    return this.events.map(spell).join(" ");
  }
}

function spell(event: RunEvent): string {
  switch (event.type) {
    case "StepScheduled":
      return `${event.compensation ? "~" : ""}${event.step}${event.slot}`;
    case "TimerStarted":
      return `t${event.slot}`;
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
