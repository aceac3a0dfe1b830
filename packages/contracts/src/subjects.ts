/**
 * The subjects of the bus. One subject per run and kind, so that a run is read with an exact
 * subject (2.8 ms among 700,000; a wildcard in the middle takes 44 ms). Only an inbox has three, one for each role that may
 * write to it, so that permissions of NATS can tell them apart: they are read one by one (docs/adr/0021).
 *
 *   <ns>.inbox.<p>.<run>.<sender>           what happened to a run, from outside: client, worker, coordinator
 *   <ns>.journal.<p>.<run>                  what the coordinator decided (fenced)
 *   <ns>.attempts.<p>.<run>.<slot>          failed attempts and heartbeats (fenced)
 *   <ns>.parked.<p>.<run>                   a run nobody can handle at present, and why
 *   <ns>.command.<step>.<p>.<run>.<slot>    work for a worker
 *   <ns>.timer.<p>.<run>.<slot>             a message schedule; fires on …
 *   <ns>.due.<p>.<run>.<slot>               … this subject
 *   <ns>.dead.<name>.<p>.<run>.<slot>       what could not be handled
 *   <ns>.live.journal.<p>.<run>             (core NATS) each journal message, as it is stored
 *   <ns>.cancel.<run>                       (core NATS) asks workers to abort slots of a run
 *   <ns>.presence                           (core NATS) coordinators that are alive
 *   <ns>.roll-call                          (core NATS) asks who is there
 *   <ns>.workers                            (core NATS) what workers answer to that
 *   <ns>.breaker.<step>                     (core NATS) a worker's circuit breaker changed state
 *   <ns>.query.<p>.<run>                    (core NATS, request and reply) asks a run something
 *   <ns>.guest.<coordinator>                (core NATS) messages of runs that only that coordinator can handle
 *   <ns>.guest-query.<coordinator>.<run>    (core NATS, request and reply) the same for queries
 */

import { partitionOf } from "./ids.ts";
import { MAX_SLOT } from "./limits.ts";

export type StreamKind = "EVENTS" | "COMMANDS" | "TIMERS" | "DEAD";

/** Who writes to an inbox: see `SENDER_OF` for what. */
export const SENDERS = ["client", "worker", "coordinator"] as const;
export type Sender = (typeof SENDERS)[number];

export interface SubjectParts {
  kind: string;
  partition: number;
  run: string;
  /** Present on inbox. */
  sender?: Sender;
  /** Present on attempts, command, timer, due, dead. */
  slot?: number;
  /** The step of a command or dead letter. */
  step?: string;
}

const STREAM_OF: Record<string, StreamKind> = {
  inbox: "EVENTS",
  journal: "EVENTS",
  attempts: "EVENTS",
  parked: "EVENTS",
  command: "COMMANDS",
  timer: "TIMERS",
  due: "TIMERS",
  dead: "DEAD",
};

/** Added to a slot's number, it names the timer of a step's deadline, beside that of its next attempt. */
export const DEADLINE = 2 ** 31;

/** What a run id, a step's name and the id of a process may be: see RunId and Name. */
const TOKEN = /^[A-Za-z0-9_-]{1,64}$/;

const INBOX = ".inbox.";

/** The sender that an inbox's subject ends with. */
export function senderOf(subject: string): Sender | undefined {
  const last = subject.slice(subject.lastIndexOf(".") + 1);
  return last === "worker" || last === "client" || last === "coordinator" ? last : undefined;
}

/** Builds and reads the subjects of one namespace. */
export class Subjects {
  readonly namespace: string;
  readonly partitions: number;

  constructor(namespace: string, partitions: number) {
    this.namespace = namespace;
    this.partitions = partitions;
  }

  partition(run: string): number {
    return partitionOf(run, this.partitions);
  }

  /** All of a run's inbox, for reading: a filter. */
  inbox(run: string): string {
    return `${this.namespace}.inbox.${this.partition(run)}.${run}.*`;
  }
  /** Where a role writes to a run's inbox. */
  inboxFrom(sender: Sender, run: string): string {
    return `${this.namespace}.inbox.${this.partition(run)}.${run}.${sender}`;
  }
  journal(run: string): string {
    return `${this.namespace}.journal.${this.partition(run)}.${run}`;
  }
  attempts(run: string, slot: number): string {
    return `${this.namespace}.attempts.${this.partition(run)}.${run}.${slot}`;
  }
  parked(run: string): string {
    return `${this.namespace}.parked.${this.partition(run)}.${run}`;
  }
  command(step: string, run: string, slot: number): string {
    return `${this.namespace}.command.${step}.${this.partition(run)}.${run}.${slot}`;
  }
  timer(run: string, slot: number): string {
    return `${this.namespace}.timer.${this.partition(run)}.${run}.${slot}`;
  }
  due(run: string, slot: number): string {
    return `${this.namespace}.due.${this.partition(run)}.${run}.${slot}`;
  }
  /** `name` is a step, or `-` where none is known. */
  dead(name: string, run: string, slot: number): string {
    return `${this.namespace}.dead.${name}.${this.partition(run)}.${run}.${slot}`;
  }
  liveJournal(run: string): string {
    return `${this.namespace}.live.journal.${this.partition(run)}.${run}`;
  }
  cancel(run: string): string {
    return `${this.namespace}.cancel.${run}`;
  }
  query(run: string): string {
    return `${this.namespace}.query.${this.partition(run)}.${run}`;
  }
  guest(coordinator: string): string {
    return `${this.namespace}.guest.${coordinator}`;
  }
  guestQuery(coordinator: string, run: string): string {
    return `${this.namespace}.guest-query.${coordinator}.${run}`;
  }
  get presence(): string {
    return `${this.namespace}.presence`;
  }
  get rollCall(): string {
    return `${this.namespace}.roll-call`;
  }
  get workers(): string {
    return `${this.namespace}.workers`;
  }
  breaker(step: string): string {
    return `${this.namespace}.breaker.${step}`;
  }

  /** The subjects that a filter stands for which names all senders of an inbox. @throws {RangeError} It is another filter. */
  each(filter: string): string[] {
    const all = filter.slice(0, -1);
    if (!filter.startsWith(`${this.namespace}${INBOX}`) || !filter.endsWith(".*"))
      throw new RangeError(`"${filter}" names no inbox.`);
    return SENDERS.map((sender) => all + sender);
  }

  /** The durable consumer of a step's commands. */
  stepConsumer(step: string): string {
    return `step-${step}`;
  }

  /** Filters, for consumers and listings. */
  readonly all = {
    inbox: (partition: number) => `${this.namespace}.inbox.${partition}.>`,
    parked: (partition: number) => `${this.namespace}.parked.${partition}.>`,
    due: () => `${this.namespace}.due.>`,
    timersOfPartition: (partition: number) => `${this.namespace}.timer.${partition}.>`,
    commandsOfStep: (step: string) => `${this.namespace}.command.${step}.>`,
    attemptsOfPartition: (partition: number) => `${this.namespace}.attempts.${partition}.>`,
    attemptsOfRun: (run: string) => `${this.namespace}.attempts.${this.partition(run)}.${run}.*`,
    commandsOfRun: (run: string) => `${this.namespace}.command.*.${this.partition(run)}.${run}.*`,
    commandsOfStepIn: (step: string, partition: number) => `${this.namespace}.command.${step}.${partition}.>`,
    commandsOfPartition: (partition: number) => `${this.namespace}.command.*.${partition}.>`,
    journals: () => `${this.namespace}.journal.>`,
    journalsOfPartition: (partition: number) => `${this.namespace}.journal.${partition}.>`,
    cancels: () => `${this.namespace}.cancel.*`,
    queries: (partition: number) => `${this.namespace}.query.${partition}.*`,
    timersOfRun: (run: string) => `${this.namespace}.timer.${this.partition(run)}.${run}.*`,
  };

  /**
   * Reads a subject. Anybody who may publish chooses the subject, so it is input like the message itself.
   *
   * @returns undefined unless every token is valid: the kind, the run id and the step's name, the partition that the run
   * has, the slot as a decimal number in range. What is returned can be used to build subjects again.
   */
  parse(subject: string): SubjectParts | undefined {
    const t = subject.split(".");
    if (t[0] !== this.namespace) return undefined;
    const kind = t[1] ?? "";
    switch (kind) {
      case "inbox": {
        const sender = t.length === 5 ? senderOf(subject) : undefined;
        const parts = sender && this.#parts(kind, t[2]!, t[3]!);
        return parts && { ...parts, sender };
      }
      case "journal":
      case "parked":
      case "query":
        return t.length === 4 ? this.#parts(kind, t[2]!, t[3]!) : undefined;
      case "attempts":
        return t.length === 5 ? this.#parts(kind, t[2]!, t[3]!, t[4], 1, MAX_SLOT) : undefined;
      case "timer":
      case "due":
        return t.length === 5 ? this.#parts(kind, t[2]!, t[3]!, t[4], 1, DEADLINE + MAX_SLOT) : undefined;
      case "command":
      case "dead": {
        if (t.length !== 6 || !TOKEN.test(t[2]!)) return undefined;
        const parts = this.#parts(kind, t[3]!, t[4]!, t[5], kind === "dead" ? 0 : 1, DEADLINE + MAX_SLOT);
        return parts && { ...parts, step: t[2]! };
      }
      default:
        return undefined;
    }
  }

  /**
   * The run whose inbox a subject is: what `parse` would say of it, at a fifth of the cost, since each message comes by here.
   *
   * @returns undefined for any other subject.
   */
  runOfInbox(subject: string): string | undefined {
    const from = this.namespace.length + INBOX.length;
    const dot = subject.indexOf(".", from);
    const last = subject.lastIndexOf(".");
    if (dot < 0 || !subject.startsWith(this.namespace) || !subject.startsWith(INBOX, this.namespace.length))
      return undefined;
    const run = subject.slice(dot + 1, last);
    return senderOf(subject) && this.#isOf(subject.slice(from, dot), run) ? run : undefined;
  }

  #parts(
    kind: string,
    partition: string,
    run: string,
    slot?: string,
    least = 0,
    most = 0,
  ): (SubjectParts & { slot?: number }) | undefined {
    if (!this.#isOf(partition, run)) return undefined;
    const parts: SubjectParts = { kind, partition: Number(partition), run };
    if (slot === undefined) return parts;
    const number = Number(slot);
    // One spelling for each number: "01" or "1e3" would be another subject of the same slot.
    if (!Number.isInteger(number) || number < least || number > most || slot !== String(number)) return undefined;
    return { ...parts, slot: number };
  }

  /** Are these tokens a run's id and the partition that it has? */
  #isOf(partition: string, run: string): boolean {
    return TOKEN.test(run) && partition === String(this.partition(run));
  }

  /** The stream that stores a subject. @throws {RangeError} For a subject that no stream of ours stores. */
  streamOf(subject: string): StreamKind {
    const kind = subject.slice(this.namespace.length + 1, subject.indexOf(".", this.namespace.length + 1));
    const stream = STREAM_OF[kind];
    if (!stream) throw new RangeError(`No stream of namespace "${this.namespace}" stores the subject "${subject}".`);
    return stream;
  }

  /** The name of a stream on the server. */
  streamName(kind: StreamKind): string {
    return `${this.namespace}_${kind}`;
  }
}
