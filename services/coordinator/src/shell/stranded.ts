import type { Clock, EventLog } from "@stepstream/event-log";
import type { Deps } from "./deps.ts";

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
 * Messages of an inbox are not looked for. No version of ours can strand one now: EVENTS is only removed from by sequence,
 * and a message that a coordinator takes and does not acknowledge is redelivered. One that an older version or somebody
 * else has stranded, by a purge of EVENTS with a subject, is folded in its place with the next message of its run, which reads the whole inbox.
 * Finding it before that would take a look at every run that waits: the ack floor says nothing about which have been folded.
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
      if (step !== undefined && !asked.has(key)) asked.set(key, this.#of(key, step, partition!));
    }
    const found = [...(await Promise.all(asked.values()))].flatMap((stranded) => [...stranded]);
    return new Map(found.filter(([subject]) => wanted.has(subject)));
  }

  #of(key: string, step: string, partition: number): Promise<Stranded> {
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

/**
 * Looks for stranded commands of a partition, now and then, and has their runs read again, which publishes them again.
 * Only what was stranded the last time too: a worker that holds such a command may be about to report its outcome.
 */
export class StrandedPoll {
  readonly #deps: Deps;
  readonly #wake: (run: string) => void;
  #last: Stranded = NONE;

  constructor(deps: Deps, wake: (run: string) => void) {
    this.#deps = deps;
    this.#wake = wake;
  }

  /**
   * @param commands - The subjects of all commands of the partition that are stored.
   * @returns Whether to look again soon: some were found for the first time.
   */
  async look(commands: Iterable<string>): Promise<boolean> {
    const { log, stranded } = this.#deps;
    const found = await stranded.among(commands);
    const known = [...found].filter(([subject, seq]) => this.#last.get(subject) === seq);
    this.#last = found;
    for (const run of new Set(known.map(([subject]) => log.subjects.parse(subject)!.run))) this.#wake(run);
    return known.length < found.size;
  }
}
