import {
  decodeInbox,
  type GuestDone,
  type InboxMessage,
  MalformedMessageError,
  type StepstreamError,
} from "@stepstream/contracts";
import type { Consumption, Delivery, Subscription } from "@stepstream/event-log";
import { Auditor } from "./auditor.ts";
import { deadLetter } from "./dead-letters.ts";
import type { Deps } from "./deps.ts";
import { answerQuery } from "./guests.ts";
import { listInboxes } from "./inboxes.ts";
import { LiveRuns } from "./live-runs.ts";
import { PassedOver } from "./passed-over.ts";
import { place } from "./place.ts";
import { Poll } from "./poll.ts";
import { RetentionKeeper } from "./retention.ts";
import { type Host, RunActor } from "./run-actor.ts";
import { Strays } from "./strays.ts";
import { Tally } from "./tally.ts";

const CLOSED_KEPT = 10_000;
/**
 * Inboxes are listed once in so many audits at most: that lists all runs, also those that are over. It costs as much as there are,
 * so it comes the less often: at least this, and so much for each subject.
 */
const INBOXES_EVERY = 2;
const INBOXES_MS = 5_000;
const INBOXES_MS_PER_SUBJECT = 48;
/** The same while not all runs are known yet. */
const INBOXES_MS_BEHIND = 2;
/** How often what is stored is counted. */
const COUNT_MS = 3_000;
/** After a server restart, runs that were journalled so recently are looked after: unsynced data may be gone. */
const RECENT_MS = 180_000;

/**
 * One partition, as long as this coordinator has it: takes its inbox, gives each run its mailbox.
 *
 * Deliveries of one epoch are whole and in order: first deliveries come in stream order and none is
 * missing. A hole in the consumer's sequence (somebody else got one), a step back in the stream's, or an
 * interruption ends the epoch; runs in memory are then read before they are folded on.
 */
export class Partition {
  readonly number: number;
  readonly #deps: Deps;
  readonly #actors = new Map<string, RunActor>();
  /**
   * Runs known to be over, newest last, and in which epoch: in a later one the run may have been deleted and its id
   * started again, by a message that another coordinator got.
   */
  readonly #closed = new Map<string, number>();
  readonly #recent = new Map<string, number>();
  /** Every delivery in hand, and when its ack_wait last began. */
  readonly #unacked = new Map<Delivery, number>();
  /** How many of them are only held open for a timer; those do not count as work. */
  #held = 0;
  #epoch = 0;
  #lastConsumerSeq = 0;
  #lastSeq = 0;
  #consumption: Consumption | undefined;
  #questions: Subscription | undefined;
  #timers: unknown[] = [];
  /** What is known of those that are not in memory. */
  readonly #runs: LiveRuns;
  readonly #auditor: Auditor;
  /** All of them; and those that are also asked for by events. */
  readonly #polls: Poll[];
  readonly #parked: Poll;
  readonly #audit: Poll;
  readonly #inboxes: Poll;
  readonly #passedOver: PassedOver;
  /** The one of partition 0 removes the ended runs of all. */
  readonly #retention: RetentionKeeper | undefined;
  #released = false;
  #abandoned = false;
  #serverId: string;
  readonly #host: Host = {
    isDelegate: false,
    ack: ({ delivery }) => this.#ack(delivery),
    handBack: ({ delivery }, delayMs) => {
      if (this.#abandoned) return;
      this.#unacked.delete(delivery);
      delivery.nak(delayMs);
    },
    replaced: ({ delivery }) => this.#unacked.delete(delivery),
    onHeld: (more) => {
      this.#held += more;
    },
    onJournalled: (run) => this.#recent.set(run, this.#deps.clock.now()),
    onClosed: (run, epoch) => this.#onClosed(run, epoch),
    onNext: (run, arrival) => {
      this.#closed.delete(run);
      this.#actor(run).deliver(arrival);
    },
  };

  constructor(deps: Deps, number: number) {
    this.#deps = deps;
    this.number = number;
    this.#retention = number === 0 ? new RetentionKeeper(deps) : undefined;
    this.#serverId = deps.log.serverId;
    const mailboxes = {
      awaited: (run: string) => this.#actors.get(run)?.awaited,
      runs: () => this.#actors.keys(),
      load: (run: string) => this.#actor(run).woken(),
    };
    const wanted = () => !this.#released;
    this.#runs = new LiveRuns(deps, number, mailboxes, wanted);
    this.#auditor = new Auditor(deps, number, this.#runs, mailboxes, wanted);
    const passedOver = new PassedOver(deps, number, this.#runs, mailboxes, wanted);
    const strays = new Strays(deps, number, this.#runs, mailboxes, wanted);
    const tally = new Tally(deps, number, this.#runs, mailboxes);
    const { auditMs } = deps.settings;
    const poll = (what: string, look: () => Promise<number | void>) =>
      new Poll(deps.clock, look, (error) => this.#trouble(what, error));
    this.#passedOver = passedOver;
    this.#parked = poll("look for parked runs", () => this.#unpark());
    this.#audit = poll("compare what runs wait for with what is stored", () => this.#auditor.look());
    this.#inboxes = poll("look at inboxes", async () => {
      const isBehind = this.#runs.isBehind;
      const listed = await listInboxes(deps, number);
      this.#runs.listed(listed.journals);
      await passedOver.look(listed);
      const others = wanted() ? await strays.look(listed) : 0;
      const ms =
        (listed.inboxes.size + listed.journals.size + others) * (isBehind ? INBOXES_MS_BEHIND : INBOXES_MS_PER_SUBJECT);
      return Math.min(INBOXES_EVERY * auditMs, Math.max(INBOXES_MS, ms));
    });
    this.#polls = [
      this.#parked,
      this.#audit,
      this.#inboxes,
      poll("read what runs wait for", () => this.#runs.read()),
      poll("count what is stored", async () => {
        if (await tally.check()) this.#audit.now();
        return Math.min(COUNT_MS, auditMs);
      }),
      poll("count what was passed over", async () => {
        if (await passedOver.check()) this.#inboxes.now();
        return Math.min(2 * COUNT_MS, auditMs);
      }),
    ];
  }

  async start(): Promise<void> {
    const { log, settings } = this.#deps;
    const consumption = await log.consume({
      stream: "EVENTS",
      consumer: `inbox-${this.number}`,
      filter: log.subjects.all.inbox(this.number),
      ackWaitMs: settings.ackWaitMs,
      demand: () => (this.#released ? 0 : Math.max(0, settings.inFlight - (this.#unacked.size - this.#held))),
      onDelivery: (delivery) => this.#onDelivery(delivery),
      onInterrupted: () => this.#onInterrupted(),
    });
    if (this.#released) return consumption.stop();
    this.#consumption = consumption;
    this.#questions = log.answer(log.subjects.all.queries(this.number), (text, subject) => this.#answer(text, subject));
    // Other coordinators may have asked the consumer for another ack wait than this one.
    this.#every(
      () => this.#ackWaitMs / 4,
      () => this.#keepAlive(),
    );
    this.#every(Math.max(1_000, settings.idleMs / 4), () => this.#evict());
    this.#every(settings.unparkMs, () => this.#parked.now());
    for (const poll of settings.auditMs > 0 ? this.#polls : [this.#parked]) poll.now();
    this.#retention?.start();
  }

  get #ackWaitMs(): number {
    return this.#consumption?.ackWaitMs ?? this.#deps.settings.ackWaitMs;
  }

  /** It has begun to take its inbox. */
  get started(): boolean {
    return this.#consumption !== undefined;
  }

  /** Its inbox is being taken now. */
  get taken(): boolean {
    return this.#consumption !== undefined && !this.#consumption.lost;
  }

  /** Lets the partition go: nothing more is taken, what is under way is finished, what is held goes back. */
  async release(): Promise<void> {
    this.#released = true;
    for (const timer of this.#timers) this.#deps.clock.clearTimeout(timer);
    for (const poll of this.#polls) poll.stop();
    this.#questions?.stop();
    const retained = this.#retention?.stop();
    await this.#consumption?.stop();
    await Promise.all([...this.#actors.values()].map((actor) => actor.release()));
    await retained;
    this.#actors.clear();
    this.#unacked.clear();
  }

  /** Lets the partition go at once, as if the process had been killed: nothing is acknowledged or given back. */
  abandon(): void {
    this.#released = true;
    this.#abandoned = true;
    for (const timer of this.#timers) this.#deps.clock.clearTimeout(timer);
    for (const poll of this.#polls) poll.stop();
    this.#retention?.abandon();
    for (const actor of this.#actors.values()) actor.abandon();
    this.#actors.clear();
    this.#unacked.clear();
  }

  // ---------------------------------------------------------------- deliveries

  #onDelivery(delivery: Delivery): void {
    if (this.#released) return delivery.nak();
    const { seq, consumerSeq, deliveries } = delivery;
    if (consumerSeq !== this.#lastConsumerSeq + 1 || (deliveries === 1 && seq < this.#lastSeq)) this.#epoch++;
    this.#lastConsumerSeq = consumerSeq;
    if (deliveries === 1) {
      this.#lastSeq = seq;
      this.#deps.serverClock.observe(delivery.at);
    }
    this.#unacked.set(delivery, this.#deps.clock.now());
    this.#passedOver.delivered(seq);

    const run = this.#deps.log.subjects.runOfInbox(delivery.subject);
    if (run === undefined)
      return this.#deadLetter(
        delivery,
        new MalformedMessageError(place(delivery), "", "its subject is no run's inbox"),
      );
    let message: InboxMessage;
    try {
      message = decodeInbox(delivery.subject, delivery.text, place(delivery));
    } catch (error) {
      return this.#deadLetter(delivery, error as StepstreamError);
    }
    // The id may have been started anew, after its run was deleted.
    if (message.type === "RunStarted") this.#closed.delete(run);
    if (this.#closed.get(run) === this.#epoch) return this.#ack(delivery);
    this.#actor(run).deliver({ delivery, message, epoch: this.#epoch });
  }

  #onInterrupted(): void {
    this.#epoch++;
    const { serverId } = this.#deps.log;
    if (serverId === this.#serverId) return;
    this.#serverId = serverId;
    for (const [run, at] of this.#recent) {
      this.#recent.delete(run);
      if (this.#deps.clock.now() - at <= RECENT_MS && !this.#closed.has(run)) this.#actor(run).wake();
    }
  }

  /** It is acknowledged once it is kept, and no other message waits for that. */
  #deadLetter(delivery: Delivery, error: StepstreamError): void {
    deadLetter(this.#deps, delivery, error).then(
      () => this.#ack(delivery),
      (cause) => {
        this.#unacked.delete(delivery);
        this.#trouble("keep a dead letter", cause);
      },
    );
  }

  #ack(delivery: Delivery): void {
    // Part of the work that it stands for may have been lost.
    if (this.#abandoned) return;
    this.#unacked.delete(delivery);
    delivery.ack();
    this.#consumption?.pull();
  }

  #keepAlive(): void {
    const now = this.#deps.clock.now();
    for (const [delivery, since] of this.#unacked) {
      if (now - since < this.#ackWaitMs / 4) continue;
      delivery.working();
      this.#unacked.set(delivery, now);
    }
  }

  // ---------------------------------------------------------------- runs

  #actor(run: string): RunActor {
    let actor = this.#actors.get(run);
    if (!actor) {
      actor = new RunActor(this.#deps, run, this.#host);
      this.#actors.set(run, actor);
    }
    return actor;
  }

  /** A question to a run. @returns undefined if somebody else may know. */
  async #answer(text: string, subject: string): Promise<string | undefined> {
    const { log, settings } = this.#deps;
    const run = log.subjects.parse(subject)?.run;
    if (run === undefined) return undefined;
    const actor = this.#actor(run);
    const answer = await answerQuery(actor, text, subject);
    if (answer !== undefined || !actor.elsewhere) return answer;
    return log.ask(log.subjects.guestQuery(actor.elsewhere, run), text, settings.ackWaitMs);
  }

  /** A message that another coordinator has handled is done with. */
  guestDone(done: GuestDone): void {
    this.#actors.get(done.run)?.handled(done);
  }

  /** All commands or timers were lost: those that runs wait for are stored again, now. */
  expectLoss(): void {
    this.#auditor.expectLoss();
    this.#audit.now();
  }

  /** Somebody has come who may know what nobody knew. */
  onPeers(): void {
    this.#parked.now();
  }

  #onClosed(run: string, epoch: number | undefined): void {
    this.#actors.delete(run);
    this.#recent.delete(run);
    this.#runs.ended(run);
    if (epoch === undefined) this.#closed.delete(run);
    else this.#closed.set(run, epoch);
    if (this.#closed.size > CLOSED_KEPT)
      for (const oldest of this.#closed.keys()) return void this.#closed.delete(oldest);
  }

  /** Drops runs that have nothing to do; a message brings them back from the log. */
  #evict(): void {
    const { clock, settings } = this.#deps;
    const now = clock.now();
    const idle = [...this.#actors]
      .filter(([, actor]) => actor.idle)
      .sort(([, a], [, b]) => a.lastActiveMs - b.lastActiveMs);
    let over = this.#actors.size - settings.hotRuns;
    for (const [run, actor] of idle) {
      if (over-- <= 0 && now - actor.lastActiveMs < settings.idleMs) break;
      this.#runs.evicted(run);
      this.#actors.delete(run);
      void actor.release();
    }
    for (const [run, at] of this.#recent) if (now - at > RECENT_MS) this.#recent.delete(run);
  }

  async #unpark(): Promise<void> {
    const { log } = this.#deps;
    const parked = await log.list("EVENTS", log.subjects.all.parked(this.number));
    for (const subject of parked.keys()) {
      if (this.#released) return;
      const run = log.subjects.parse(subject)?.run;
      if (run === undefined)
        this.#deps.warn(
          "passed over a parked record",
          new MalformedMessageError(subject, "", "its subject is no run's"),
        );
      else this.#actor(run).wake();
    }
  }

  #every(ms: number | (() => number), fn: () => void): void {
    const index = this.#timers.length;
    const again = () => {
      this.#timers[index] = this.#deps.clock.setTimeout(
        () => {
          if (this.#released) return;
          fn();
          again();
        },
        typeof ms === "number" ? ms : ms(),
      );
    };
    again();
  }

  #trouble(what: string, error: unknown): void {
    if (!this.#released) this.#deps.warn(what, error);
  }
}
