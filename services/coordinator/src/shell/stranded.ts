import type { Clock, EventLog } from "@stepstream/event-log";

/** By their subjects, with their stream sequences. */
export type Stranded = ReadonlyMap<string, number>;

const NONE: Stranded = new Map();
/** For so long a step is not asked about again: a takeover of many runs asks once. */
const KEPT_MS = 1_000;

/**
 * Commands that are stored and look outstanding, but that no worker will get: they lie at or below the ack floor of
 * their step's consumer. Versions that removed commands by a purge of their subject have left such commands behind, and
 * anyone else who purges the stream with a subject makes more of them (V1 of the event log's remover.ts).
 *
 * N1. The floor is read before the message, and never falls. So what is found had been acknowledged or passed over when
 *     the message was still stored. That holds for a moment also for a command that is being acknowledged: whoever acts
 *     on this first looks for its outcome, which is stored before a command is acknowledged.
 * N2. Where there are none, it costs two requests for each step and partition, at most once a second.
 *
 * Checked elsewhere:
 *   N1  ../../../../test/e2e/stranded.test.ts: are published again, under ids of their own, by the coordinator that is there
 *   N2  stranded.test.ts: costs two requests for each step and partition, at most once a second
 */
export class StrandedCommands {
  readonly #log: EventLog;
  readonly #clock: Clock;
  readonly #asked = new Map<string, { at: number; found: Promise<Stranded> }>();

  constructor(log: EventLog, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** @returns Those of the given subjects of commands that hold a stranded one, with its stream sequence. */
  async among(subjects: Iterable<string>): Promise<Map<string, number>> {
    const wanted = new Set(subjects);
    const asked = new Map<string, Promise<Stranded>>();
    for (const subject of wanted) {
      const { step, partition } = this.#log.subjects.parse(subject) ?? {};
      const key = `${step} ${partition}`;
      if (step !== undefined && !asked.has(key)) asked.set(key, this.of(step, partition!));
    }
    const found = [...(await Promise.all(asked.values()))].flatMap((stranded) => [...stranded]);
    return new Map(found.filter(([subject]) => wanted.has(subject)));
  }

  /** @returns The stranded commands of a step in a partition. */
  of(step: string, partition: number): Promise<Stranded> {
    const key = `${step} ${partition}`;
    const now = this.#clock.now();
    const last = this.#asked.get(key);
    if (last && now - last.at < KEPT_MS) return last.found;
    for (const [other, { at }] of this.#asked) if (now - at >= KEPT_MS) this.#asked.delete(other);
    const found = this.#find(step, partition);
    this.#asked.set(key, { at: now, found });
    found.catch(() => this.#asked.delete(key));
    return found;
  }

  async #find(step: string, partition: number): Promise<Stranded> {
    const { subjects } = this.#log;
    const { ackFloor } = await this.#log.progress("COMMANDS", subjects.stepConsumer(step));
    if (ackFloor === 0) return NONE;
    const found = new Map<string, number>();
    const filter = subjects.all.commandsOfStepIn(step, partition);
    for (let from = 1; ; ) {
      const oldest = await this.#log.oldest("COMMANDS", filter, from);
      if (!oldest || oldest.seq > ackFloor) return found;
      found.set(oldest.subject, oldest.seq);
      from = oldest.seq + 1;
    }
  }
}
