import {
  decode,
  decodeInbox,
  encode,
  GuestDone,
  GuestMessage,
  type InboxMessage,
  isTooLong,
  MAX_QUERY_BYTES,
  type QueryAnswer,
  QueryRun,
  RunId,
  shortened,
  toFailure,
} from "@stepstream/contracts";
import type { Delivery, Subscription } from "@stepstream/event-log";
import { z } from "zod";
import type { Deps } from "./deps.ts";
import { place } from "./place.ts";
import { type Arrival, RunActor } from "./run-actor.ts";

const Said = z.discriminatedUnion("type", [GuestMessage, GuestDone]);

/** A message that is being handled here. */
interface InHand {
  readonly run: string;
  /** Who waits for it, and when it was last sent. */
  from: string;
  at: number;
}

/** After so many ack waits without a message being sent again its owner is gone, or has chosen another coordinator. */
const ACK_WAITS_SILENT = 2;

/**
 * Runs of partitions that another coordinator has, which does not know their workflow: it keeps their inbox
 * messages in hand and sends their numbers; here they are handled.
 *
 * G1. A message is done only when it could be acknowledged. The owner sends its number again until then.
 * G2. Nothing is taken for first or in order: a run is read before each message is folded.
 * G3. The record of a parked run goes only when all that the run waits for is stored: the messages that it stands for were
 *     acknowledged. If the run has to be parked here as well, the record stays.
 * G4. What its owner does not ask for any more is released: the owner is gone, or has chosen another coordinator.
 *
 * G1 and G2 are promises of the mailbox as well, which is asserted there.
 *
 * Checked elsewhere:
 *   G1  "mailbox A3"
 *   G2  "mailbox A2"
 *   G3  ../../../../test/simulation/guests.test.ts: have a durable cause at every moment of being handed on
 *   G4  ../../../../test/simulation/guests.test.ts: are released where their owner has chosen another
 */
export class Guests {
  readonly #deps: Deps;
  readonly #onDone: (done: GuestDone) => void;
  readonly #actors = new Map<string, RunActor>();
  /** By run and number. */
  readonly #inHand = new Map<string, InHand>();
  #subscriptions: Subscription[] = [];
  #timer: unknown;
  #serverId: string;
  #stopped = false;

  /** @param onDone - A message that this coordinator has handed on is done with. */
  constructor(deps: Deps, onDone: (done: GuestDone) => void) {
    this.#deps = deps;
    this.#onDone = onDone;
    this.#serverId = deps.log.serverId;
  }

  start(): void {
    const { log, id } = this.#deps;
    this.#subscriptions = [
      log.listen(log.subjects.guest(id), (text) => this.#hear(text)),
      log.answer(log.subjects.guestQuery(id, "*"), (text, subject) => this.#answer(text, subject)),
      // A server that restarts may have lost what was just published.
      log.onReconnect((serverId) => {
        if (serverId !== this.#serverId) for (const actor of this.#actors.values()) actor.wake();
        this.#serverId = serverId;
      }),
    ];
    this.#evict();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#deps.clock.clearTimeout(this.#timer);
    for (const subscription of this.#subscriptions) subscription.stop();
    await Promise.all([...this.#actors.values()].map((actor) => actor.release()));
    this.#actors.clear();
  }

  /** Lets everything go at once, as if the process had been killed. */
  abandon(): void {
    this.#stopped = true;
    this.#deps.clock.clearTimeout(this.#timer);
    for (const actor of this.#actors.values()) actor.abandon();
    this.#actors.clear();
    this.#inHand.clear();
  }

  #hear(text: string): void {
    let said: z.infer<typeof Said>;
    const { subjects } = this.#deps.log;
    try {
      said = decode(Said, text, subjects.guest(this.#deps.id));
    } catch (error) {
      return this.#deps.warn(`ignored a message on ${subjects.guest(this.#deps.id)}`, error);
    }
    if (said.type === "GuestDone") return this.#onDone(said);
    const { run, from } = said;
    const key = `${run}/${said.seq}`;
    const known = this.#inHand.get(key);
    const at = this.#deps.clock.now();
    if (known) {
      Object.assign(known, { from, at });
      const actor = this.#actors.get(run);
      // It could not be brought to its end, and nothing else would try it again.
      if (actor && actor.awaited === undefined) actor.wake();
      return;
    }
    this.#inHand.set(key, { run, from, at });
    const taken = said.parked ? this.#load(said) : this.#take(said);
    taken.catch((error) => {
      this.#inHand.delete(key);
      this.#deps.warn("take a run for another coordinator", error, run);
    });
  }

  /** The run was parked, and none of its messages need be in hand: all that it waits for is stored before this is done. */
  async #load({ run, seq }: GuestMessage): Promise<void> {
    const actor = this.#actor(run);
    if (await actor.woken()) return this.#done(run, seq, actor.awaited === undefined ? 1_000 : undefined);
    if (actor.parked) return this.#done(run, seq, undefined, true);
    // It is tried again, and sent again.
    this.#inHand.delete(`${run}/${seq}`);
  }

  async #take({ run, seq }: GuestMessage): Promise<void> {
    const { log } = this.#deps;
    const [stored] = await log.read(log.subjects.inbox(run), { fromSeq: seq, fresh: true });
    if (this.#stopped) return;
    // Deleted, or not to be read: whoever has it buries it.
    if (stored?.seq !== seq) return this.#done(run, seq);
    let message: InboxMessage;
    try {
      message = decodeInbox(stored.subject, stored.text, place(stored));
    } catch {
      return this.#done(run, seq);
    }
    const nothing = () => {};
    const delivery: Delivery = {
      ...stored,
      deliveries: 2,
      consumerSeq: 0,
      ack: nothing,
      nak: nothing,
      working: nothing,
    };
    this.#actor(run).deliver({ delivery, message, epoch: -1 });
  }

  #done(run: string, seq: number, againMs?: number, parked = false): void {
    const { log } = this.#deps;
    const to = this.#inHand.get(`${run}/${seq}`)?.from;
    this.#inHand.delete(`${run}/${seq}`);
    if (!to) return;
    const again = againMs === undefined ? {} : { againMs };
    const done: GuestDone = { v: 1, type: "GuestDone", run, seq, ...again, ...(parked && { parked }) };
    log.broadcast(log.subjects.guest(to), JSON.stringify(done));
  }

  #actor(run: string): RunActor {
    let actor = this.#actors.get(run);
    if (!actor) {
      const made = new RunActor(this.#deps, run, {
        isDelegate: true,
        ack: (arrival: Arrival) => this.#done(run, arrival.delivery.seq, undefined, made.parked),
        handBack: (arrival, delayMs) => this.#done(run, arrival.delivery.seq, delayMs),
        replaced: () => {},
        onHeld: () => {},
        onJournalled: () => {},
        onClosed: () => this.#actors.delete(run),
        onNext: (_run, arrival) => this.#actor(run).deliver(arrival),
      });
      this.#actors.set(run, made);
      actor = made;
    }
    return actor;
  }

  async #answer(text: string, subject: string): Promise<string | undefined> {
    const run = RunId.safeParse(subject.split(".").at(-1));
    return run.success ? answerQuery(this.#actor(run.data), text, subject) : undefined;
  }

  #evict(): void {
    const { clock, settings } = this.#deps;
    const now = clock.now();
    const silent = new Set<string>();
    for (const [key, { run, at }] of this.#inHand)
      if (now - at > ACK_WAITS_SILENT * settings.ackWaitMs && this.#inHand.delete(key)) silent.add(run);
    for (const [run, actor] of this.#actors)
      if (silent.has(run) || (actor.idle && now - actor.lastActiveMs >= settings.idleMs)) {
        this.#actors.delete(run);
        void actor.release();
      }
    this.#timer = clock.setTimeout(() => this.#evict(), Math.max(1_000, settings.idleMs / 4));
  }
}

/** @returns undefined if somebody else may know. */
export async function answerQuery(actor: RunActor, text: string, subject: string): Promise<string | undefined> {
  let answer: QueryAnswer;
  try {
    const { name, input } = decode(QueryRun, text, subject);
    const found = await actor.query(name, input);
    if (!found) return undefined;
    answer = { v: 1, type: "QueryAnswer", ...found };
    return encode("its answer", answer, MAX_QUERY_BYTES);
  } catch (error) {
    const failure = toFailure(error);
    answer = { v: 1, type: "QueryAnswer", error: failure };
    const text = JSON.stringify(answer);
    return isTooLong(text, MAX_QUERY_BYTES) ? JSON.stringify({ ...answer, error: shortened(failure) }) : text;
  }
}
