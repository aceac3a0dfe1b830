/**
 * Drives the run of one schedule by hand: the coordinator's own engine, time that passes only when it is told to, and
 * children that end when they are told to. A timer fires when the time comes, however far `pass` goes.
 */

import type { ChildEnded, InboxMessage, RunEvent } from "@stepstream/contracts";
import { finishTurn, guardGlobals, RunExecution } from "@stepstream/coordinator";
import type { ScheduleDescription } from "@stepstream/sdk/schedule";
import { scheduleWorkflow } from "@stepstream/sdk/schedule";

export const at = (iso: string) => Date.parse(iso);

export class ByHand {
  run: RunExecution;
  events: RunEvent[] = [];
  /** Ids of the children that were started, in order, with the time of the history. */
  readonly started: string[] = [];
  readonly startedAt: number[] = [];
  /** Children that were asked to stop. */
  readonly stopped: string[] = [];
  readonly #inbox: { seq: number; at: number; message: InboxMessage }[] = [];
  #seq = 0;
  #now: number;

  constructor(now: string) {
    guardGlobals();
    this.#now = at(now);
    this.run = new RunExecution("sched-nightly", scheduleWorkflow);
  }

  get now(): number {
    return this.#now;
  }

  async start(times: object, more: object = {}): Promise<void> {
    const action = { workflow: "job", version: 1, input: { n: 1 }, idPrefix: "nightly" };
    const input = { id: "nightly", times, action, ...more };
    await this.send({ v: 1, type: "RunStarted", id: "m1", workflow: "_schedule", version: 1, input });
  }

  async send(message: InboxMessage): Promise<RunEvent[]> {
    const x = { seq: ++this.#seq, at: this.#now, message };
    this.#inbox.push(x);
    this.run.fold(x.seq, x.at, x.message);
    const decided = (await finishTurn(this.run, macrotask)).map((d) => JSON.parse(d.text) as RunEvent);
    this.events.push(...decided);
    for (const event of decided) {
      if (event.type === "ChildScheduled") {
        this.started.push(event.run);
        this.startedAt.push(this.#now);
      }
      if (event.type === "SlotsCancelled")
        for (const slot of event.slots) {
          const child = this.run.slots.get(slot)?.child;
          if (child && child.onParentClose !== "abandon") this.stopped.push(child.run);
        }
    }
    if (this.run.fault) throw this.run.fault;
    return decided;
  }

  /** Goes to that time; timers fire on the way. */
  async until(iso: string): Promise<void> {
    const target = at(iso);
    for (let next = this.#nextTimer(); next && next.fireAt! <= target; next = this.#nextTimer()) await this.fire();
    this.#now = Math.max(this.#now, target);
  }

  /** Goes to the next timer, which fires; what it leads to may have set another for the same time. */
  async fire(): Promise<void> {
    const { slot, fireAt } = this.#nextTimer()!;
    this.#now = Math.max(this.#now, fireAt!);
    await this.send({ v: 1, type: "TimerFired", slot });
  }

  /** Nobody is there until then: what is due fires late, all at that time. */
  async awayUntil(iso: string): Promise<void> {
    this.#now = at(iso);
    await this.until(iso);
  }

  async end(run: string, outcome: ChildEnded["outcome"] = "completed", code = "ERROR"): Promise<void> {
    const events = this.events.findLast((e) => e.type === "ChildScheduled" && e.run === run);
    if (events?.type !== "ChildScheduled") throw new Error(`${run} was not started`);
    const error = outcome === "completed" ? {} : { error: { name: "Error", code, message: `it ${outcome}` } };
    await this.send({ v: 1, type: "ChildEnded", slot: events.slot, child: run, outcome, output: 1, ...error });
  }

  /** @returns The answer. @throws {Error} What the sender of the update would be told. */
  async update(name: string, input: object = {}): Promise<any> {
    const decided = await this.send({ v: 1, type: "UpdateRequested", id: `u${this.#seq}`, name, input });
    for (const event of decided) {
      if (event.type === "UpdateCompleted") return event.output;
      if (event.type === "UpdateFailed" || event.type === "UpdateRefused") throw new Error(event.error.message);
    }
    throw new Error(`no answer to ${name}`);
  }

  async cancel(): Promise<void> {
    await this.send({ v: 1, type: "CancelRequested", id: `c${this.#seq}`, reason: "enough" });
  }

  describe(now?: number): ScheduleDescription {
    return this.run.query("describe", now === undefined ? {} : { now }) as ScheduleDescription;
  }

  get lives(): number {
    return 1 + this.events.filter((event) => event.type === "RunContinued").length;
  }
  get output(): ScheduleDescription | undefined {
    const last = this.events.at(-1);
    return last?.type === "RunCompleted" ? (last.output as ScheduleDescription) : undefined;
  }
  get ended(): RunEvent["type"] | undefined {
    return this.run.closed ? this.events.at(-1)?.type : undefined;
  }

  /** A coordinator that takes the run over, from the journal and the inbox: it decides the same, or throws. */
  async replay(): Promise<void> {
    const again = new RunExecution(this.run.runId, scheduleWorkflow, this.events, this.#seq);
    for (const { seq, at, message } of this.#inbox) {
      again.fold(seq, at, message);
      if ((await finishTurn(again, macrotask)).length > 0) throw new Error(`message ${seq} decides more than before`);
    }
    again.checkReplayed([]);
    if (again.fault) throw again.fault;
    this.run = again;
  }

  #nextTimer() {
    return [...this.run.slots.values()]
      .filter((slot) => slot.kind === "timer" && slot.state === "open")
      .sort((a, b) => a.fireAt! - b.fireAt! || a.slot - b.slot)[0];
  }
}

function macrotask(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
