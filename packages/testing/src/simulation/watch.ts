import { type Decision, fromStart, type InboxMessage, isTerminal, type RunEvent } from "@stepstream/contracts";
import type { MemoryServer } from "@stepstream/event-log/memory";
import type { AnyWorkflow } from "@stepstream/sdk";
import { firstSeq } from "./history.ts";
import type { Ledger } from "./ledger.ts";
import type { LiveRun } from "./scenario.ts";

/** What the watch has to know of a world. */
export interface Watched {
  readonly server: MemoryServer;
  readonly ledger: Ledger;
  /** Mean, one way, in milliseconds. */
  readonly latencyMs: number;
  /** When the server was last restarted. */
  restartedAt(): number;
  /** When something that was stored has last gone missing. */
  vanishedAt(): number;
  /** Until when some process was last frozen. */
  frozenAt(): number;
  workflows: readonly AnyWorkflow[];
  excused(run: LiveRun): boolean;
}

/** A server that is killed forgets the acknowledgements of so long. As measured on nats-server 2.15.1: up to 114 ms. */
export const FORGOTTEN_MS = 120;
/** What has gone missing is stored again within this time, while processes are crashed and cut off. */
export const REPAIRED_MS = 90_000;
const OUTCOME = /^(Step(Completed|Failed|Cancelled)|SlotTimedOut|SlotAbandoned)$/;

/** Looks at a world from outside, while it goes on, for what must be so at any moment. */
export class Watch {
  readonly #world: Watched;
  /** Runs whose id was given to another: attempts of the old one may still start. */
  readonly #reused = new Set<string>();

  constructor(world: Watched) {
    this.#world = world;
  }

  /** The run is deleted, or another takes its id. */
  forget(run: string): void {
    this.#reused.add(run);
  }

  /** What must be so whenever a handler is called. */
  checkStart({ run, slot, step }: { run: string; slot: number; step: string }): void {
    if (this.#reused.has(run)) return;
    const { server, ledger, latencyMs } = this.#world;
    const { clock, subjects } = server;
    const decided = this.events(run).some((e) => e.type === "StepScheduled" && e.slot === slot && e.step === step);
    if (!decided) ledger.fault(`slot ${slot} of run ${run} is run (${step}) before its decision is in the journal`);
    // Guarantee 4: only what a process that was frozen does may start a slot again that has an outcome.
    const outcome = server
      .stream("EVENTS")
      .of(subjects.inbox(run))
      .find((stored) => {
        const message = JSON.parse(stored.text);
        return message.slot === slot && OUTCOME.test(message.type);
      });
    if (!outcome || clock.now() - this.#world.frozenAt() <= 20_000) return;
    // A server that is killed forgets the acknowledgements of its last moments (not the messages).
    const restartedAt = this.#world.restartedAt();
    if (outcome.at <= restartedAt && restartedAt - outcome.at < FORGOTTEN_MS + 10 * latencyMs) return;
    const command = server
      .stream("COMMANDS")
      .of(subjects.command(step, run, slot))
      .at(-1);
    if (command && command.at > outcome.at)
      ledger.fault(`slot ${slot} of run ${run} is published again ${command.at - outcome.at} ms after its outcome`);
    if (clock.now() - outcome.at > 500 + 10 * latencyMs)
      ledger.fault(`slot ${slot} of run ${run} is started again ${clock.now() - outcome.at} ms after its outcome`);
  }

  /**
   * Guarantee 6: a run that has started and not ended lives by something durable: a command that is out, a stored
   * timer, an inbox message that is not acknowledged, a record of being parked, a child that lives, somebody outside
   * whom it waits for. Looked at from outside, at any moment, whoever is dead just then.
   */
  checkCauses(runs: Iterable<string>): void {
    const { server, ledger, excused } = this.#world;
    if (server.clock.now() - this.#world.vanishedAt() < REPAIRED_MS) return;
    const { subjects } = server;
    // One that is stored, and that no worker will get, is no cause.
    const commands = [...server.stream("COMMANDS").list(">").keys()].filter((subject) => {
      const step = subjects.parse(subject)?.step;
      return step === undefined || server.isUndone(subject, subjects.stepConsumer(step));
    });
    const causes = `${commands.join(" ")} ${[...server.stream("TIMERS").list(">").keys()].join(" ")} `;
    for (const run of runs) {
      const inbox = subjects.inbox(run);
      if (server.stream("EVENTS").lastOf(inbox) === 0 || this.ended(run)) continue;
      // Its run is deleted; what has come since, from a worker that was slow, is no run.
      if (this.#reused.has(run) && !this.#started(run)) continue;
      const alive = causes.includes(`.${run}.`) || this.isUndone(run);
      if (alive || this.isParked(run) || this.#hasLiveChild(run) || this.#waitsForOutside(run)) continue;
      if (excused({ id: run, inbox: () => this.inbox(run), events: () => this.events(run) })) continue;
      ledger.fault(`run ${run} lives by nothing that is stored`);
    }
  }

  /** Is there a message in its inbox that no coordinator has done with? */
  isUndone(run: string): boolean {
    const { server } = this.#world;
    return server.isUndone(server.subjects.inbox(run), `inbox-${server.subjects.partition(run)}`);
  }

  /** Does it wait for a coordinator that can handle it? */
  isParked(run: string): boolean {
    const { server } = this.#world;
    return server.stream("EVENTS").lastOf(server.subjects.parked(run)) > 0;
  }

  #hasLiveChild(run: string): boolean {
    const open = this.#open(run);
    return this.events(run).some((event) => {
      if (event.type !== "ChildScheduled" || !open.has(event.slot)) return false;
      // Over, and whoever has it has still to say so; it may have ended without a message, after it was parked.
      return !this.ended(event.run) || this.isUndone(event.run) || this.isParked(event.run);
    });
  }

  /** It has asked for nothing that is open, and its workflow takes signals or updates. */
  #waitsForOutside(run: string): boolean {
    const started = this.inbox(run)[0];
    if (started?.type !== "RunStarted") return false;
    const { workflow: name, version } = started;
    const workflow = this.#world.workflows.find((w) => w.name === name && w.version === version);
    if (!workflow) return false;
    const asks = Object.keys(workflow.signals).length + Object.keys(workflow.updates).length > 0;
    const events = this.events(run);
    const life = events.slice(events.findLastIndex((event) => event.type === "RunContinued") + 1);
    return asks && this.#open(run).size === 0 && !life.some((event) => event.type === "RunClosing");
  }

  /** The slots that the journal has opened, and nothing has ended. */
  #open(run: string): Set<number> {
    const open = new Set<number>();
    const steps = new Set<number>();
    const events = this.events(run);
    for (const event of events) {
      if (event.type === "StepScheduled") steps.add(event.slot);
      if (event.type === "StepScheduled" || event.type === "TimerStarted" || event.type === "ChildScheduled")
        open.add(event.slot);
    }
    const alone = new Set(
      events.flatMap((event) =>
        event.type === "TimerStarted" || (event.type === "ChildScheduled" && event.onParentClose === "abandon")
          ? [event.slot]
          : [],
      ),
    );
    for (const event of events)
      if (event.type === "SlotsCancelled") for (const slot of event.slots) if (alone.has(slot)) open.delete(slot);
    for (const message of this.inbox(run))
      if ("slot" in message && message.type !== "RetryLater" && message.type !== "StepStartedTwice")
        if (message.type !== "TimerFired" || !steps.has(message.slot)) open.delete(message.slot);
    return open;
  }

  /** Runs that were started, by whomever. */
  runs(): string[] {
    const { server } = this.#world;
    const inboxes = `${server.subjects.namespace}.inbox.>`;
    const subjects = [...server.stream("EVENTS").list(inboxes).keys()];
    const runs = new Set(subjects.flatMap((subject) => server.subjects.parse(subject)?.run ?? []));
    return [...runs].filter((run) => this.#started(run));
  }

  ended(run: string): boolean {
    const { server } = this.#world;
    const events = server.stream("EVENTS");
    const seq = events.lastOf(server.subjects.journal(run));
    if (seq === 0 || !/"type":"Run(Completed|Failed|Cancelled|Terminated)"/.test(events.get(seq)!.text)) return false;
    const last = JSON.parse(events.get(seq)!.text) as Decision;
    return last.events.some(isTerminal) && last.upTo >= firstSeq(events.of(server.subjects.inbox(run)));
  }

  inbox(run: string): InboxMessage[] {
    const { server } = this.#world;
    const stored = fromStart(server.stream("EVENTS").of(server.subjects.inbox(run)));
    return stored.map(({ text }) => JSON.parse(text) as InboxMessage);
  }

  events(run: string): RunEvent[] {
    const { server } = this.#world;
    const events = server.stream("EVENTS");
    const from = firstSeq(events.of(server.subjects.inbox(run)));
    return events.of(server.subjects.journal(run)).flatMap(({ text }) => {
      const decision = JSON.parse(text) as Decision;
      return decision.upTo >= from ? decision.events : [];
    });
  }

  #started(run: string): boolean {
    return this.inbox(run)[0]?.type === "RunStarted";
  }
}
