import type { Msg } from "@nats-io/transport-node";
import { LogRefusedError, type Subjects } from "@stepstream/contracts";
import type { ConsumeOptions, Consumption } from "../port.ts";
import { Backoff } from "../retry.ts";
import type { Blobs } from "./blobs.ts";
import { nextSubject } from "./consumer.ts";
import { JetStreamDelivery, parseAck, type Source } from "./delivery.ts";
import { header, headerBlock, statusOf } from "./incoming.ts";
import type { Keeper } from "./keeper.ts";
import { LateDeliveries } from "./late.ts";
import { Lease } from "./lease.ts";
import type { Link } from "./link.ts";
import { isRelayed, RELAYED } from "./relayed.ts";
import type { Requests } from "./requests.ts";
import type { LastingSubscription } from "./subscriptions.ts";

/**
 * Takes messages from a durable consumer, never more than its holder can take. (`consume()` of nats.js
 * asks for more than that, and can hang for 20 s after the consumer's leader has changed.)
 *
 * U1. What is on its way and what is asked for (`waiting`), together with what is still being fetched
 *     from the object store (`resolving`), never exceeds `demand()` at the time of asking.
 * U2. Asking again does not wait until all has come: it happens as soon as at most half of the demand
 *     is on its way. So a large demand never waits for a round trip, and a small one asks for each.
 * U3. A pull ends by its messages or by a status; the status says how many will not come. A pull that
 *     neither fills nor ends within its time is forgotten.
 * U4. The server speaks at least every half second to whoever waits. Silence for over twice that
 *     means that the pulls are lost: they are void, and asked for anew on another inbox.
 * U5. A reconnection voids all pulls, and what came before it is not delivered after it. The holder is
 *     told before anything is asked for again.
 * U6. What comes in for a stopped consumption is nak'ed at once: others can have it. For a pull that
 *     was given up, the nak has a delay: at once, it would go round in circles for as long as that
 *     pull lives on the server, and each round counts as a delivery.
 * U7. Deliveries of one subject are handed over in the order of arrival, also where one has to be fetched first. Those
 *     of other subjects wait for it at most `HOLD_MS`: in order is cheaper for the holder, and one that is large, slow or
 *     made up must not keep the others. (The holder sees by `consumerSeq` that one is missing.)
 * U8. What has lain unread for longer than the ack wait, in a process whose event loop was blocked, is handed over as
 *     `expired`.
 *
 * A stop is UNSUB and a round trip. The server drops pulls whose inbox has gone and loses nothing over
 * it: after 300 stops under load no message was left waiting for its `ack_wait`.
 *
 * Checked elsewhere:
 *   U1  test/conformance/jetstream.test.ts: never holds more than it asked for, and loses no time over it
 *   U2  test/conformance/jetstream.test.ts: never holds more than it asked for, and loses no time over it
 *   U3  test/conformance/jetstream.test.ts: makes its consumer again when somebody deletes it
 *   U4  test/conformance/jetstream.test.ts: notices a silent server, and loses nothing that comes late
 *   U5  test/conformance/jetstream.test.ts: survives a cut: tells it, then goes on, and loses nothing
 *   U6  test/conformance/jetstream.test.ts: gives back at once what comes for it after its end
 *   U7  test/conformance/jetstream.test.ts: keep their place among small ones
 *   U8  test/e2e/keep-alive.test.ts: runs once, and so do all that are in hand beside it, and those that the process finds
 */
const EXPIRES_MS = 2_000;
const HEARTBEAT_MS = 500;
const SILENCE_MS = HEARTBEAT_MS * 2.5;
/** So long after a pull has expired at the server, it is forgotten. */
const FORGET_MS = 1_000;
/** After which nothing comes any more for a pull that was given up. */
const LATE_MS = 5_000;
/** After a refusal: the server needs a moment, and so do all others who ask. */
const PAUSE_MS = 250;
/** So long others wait behind one that is being fetched from the object store. */
const HOLD_MS = 50;
const BATCH_MAX = 10_000;
/** Longer than a pull lives that was asked for before the silence was noticed. */
const GIVE_BACK_LATE = '-NAK {"delay":1000000000}';

export interface PullerParts {
  link: Link;
  requests: Requests;
  blobs: Blobs;
  subjects: Subjects;
  keeper: Pick<Keeper, "suspect">;
}

export async function startPuller(parts: PullerParts, options: ConsumeOptions): Promise<Consumption> {
  const { link, requests, blobs, subjects, keeper } = parts;
  const { nc, clock, callbacks } = link;
  const what = `a delivery of consumer ${options.consumer}`;
  const stream = subjects.streamName(options.stream);
  const next = nextSubject(subjects, options);

  let epoch = 0;
  const lease = new Lease(requests, clock, stream, options, (error) => {
    // Without an answer, what was read last counts.
    if (error instanceof LogRefusedError)
      callbacks.report(`reading the settings of consumer ${options.consumer}`, error);
  });
  const source: Source = {
    nc,
    ackWaitMs: () => lease.ackWaitMs,
    now: () => clock.now(),
    epoch: () => epoch,
    onAlive: () => lease.used(),
  };

  /** Those that were asked for and may still come. */
  let waiting = 0;
  /** By the last token of their reply subject: how many, and when the server has forgotten them. */
  const pulls = new Map<string, { batch: number; deadline: number }>();
  let pullCount = 0;
  let inbox = "";
  let sub: LastingSubscription | undefined;
  /** Inboxes given up, on which something may still come. */
  const retired: { sub: LastingSubscription; until: number }[] = [];
  let heardAt = 0;
  let lost = false;
  let askAt = 0;
  let scheduled = false;
  let mending = false;
  const mendings = new Backoff(clock, { firstMs: 2 * PAUSE_MS, longestMs: 5_000 });
  let stopped = false;
  const late = new LateDeliveries();
  /** Being fetched from the object store, and those that wait behind them. */
  let resolving = 0;
  /** The place in the order of arrival of the last of them: resolves when what comes after may go. */
  let place: Promise<unknown> = Promise.resolve();
  /** By subject: resolves when the last of them has been handed over. */
  const handedOver = new Map<string, Promise<void>>();
  const stopping = Promise.withResolvers<"stopped">();

  // ------------------------------------------------------------ asking

  function schedule(): void {
    if (scheduled || stopped) return;
    scheduled = true;
    // Once per turn of the event loop: all that was acked in it is asked for at once.
    setImmediate(ask);
  }

  function ask(): void {
    scheduled = false;
    if (stopped || link.dead() || !sub?.active) return;
    const now = clock.now();
    noteStall(now);
    if (now < askAt) return;
    const demand = callbacks.value("the demand of a consumption", () => options.demand(), 0);
    const want = Math.min(BATCH_MAX, Math.floor(demand) - waiting - resolving);
    if (!(want > 0) || waiting > want) return;
    if (waiting === 0) {
      pulls.clear();
      heardAt = now;
    }
    const token = (++pullCount).toString(36);
    waiting += want;
    pulls.set(token, { batch: want, deadline: now + EXPIRES_MS + FORGET_MS });
    const body = `{"batch":${want},"expires":${EXPIRES_MS}000000,"idle_heartbeat":${HEARTBEAT_MS}000000}`;
    nc.publish(next, body, { reply: `${inbox}.${token}` });
  }

  function forgetPulls(): void {
    waiting = 0;
    pulls.clear();
  }

  /** No message comes until it is permitted. */
  function lose(): void {
    forgetPulls();
    lost = true;
  }

  function openInbox(): void {
    inbox = link.newInbox();
    heardAt = clock.now();
    const ours = inbox;
    sub = link.subscribe(
      `${ours}.*`,
      (msg) => {
        if (stopped) giveBack(msg, "-NAK");
        else if (inbox !== ours) giveBack(msg, GIVE_BACK_LATE);
        else if (msg.reply) callbacks.call(what, onMessage, msg);
        else callbacks.call("a status of a consumption", onStatus, msg, ours);
      },
      lose,
    );
  }

  // ------------------------------------------------------------ what comes

  /** Before anything is asked for again: what is open now is from before. */
  function noteStall(now: number): void {
    if (link.stallMs() < lease.ackWaitMs) return;
    const expiries = new Map([...pulls].map(([token, { deadline }]) => [token, deadline - FORGET_MS]));
    late.begin(now, lease.ackWaitMs, waiting, expiries);
  }

  function onMessage(msg: Msg): void {
    const now = clock.now();
    noteStall(now);
    heardAt = now;
    const isExpired = late.take(now);
    lost = false;
    if (waiting > 0) waiting--;
    const reply = msg.reply!;
    const info = parseAck(reply);
    if (!info) return;
    if (options.stream === "EVENTS") link.serverClock.observe(info.at);
    lease.used();
    const block = headerBlock(msg);
    const text = isRelayed(block) ? RELAYED : blobs.resolve(msg.subject, msg.string(), () => block);
    if (typeof text === "string" && resolving === 0) {
      const delivery = new JetStreamDelivery(source, msg.subject, reply, info, text, epoch, now - link.stallMs());
      if (isExpired) delivery.expired = true;
      deliver(delivery);
    } else {
      deliverLater(msg.subject, reply, info, text, isExpired);
    }
    schedule();
  }

  const onDelivery = (delivery: JetStreamDelivery) => options.onDelivery(delivery);

  /** One that the holder throws at comes again: by its `ack_wait`, for what the holder did with it is not known. */
  function deliver(delivery: JetStreamDelivery): void {
    callbacks.call(what, onDelivery, delivery);
  }

  function interrupted(why: string): void {
    callbacks.call("a listener to interruptions", (said) => options.onInterrupted?.(said), why);
  }

  /** Behind one that is being fetched: see U7. */
  function deliverLater(
    subject: string,
    reply: string,
    info: NonNullable<ReturnType<typeof parseAck>>,
    text: string | Promise<string>,
    isExpired: boolean,
  ): void {
    const arrived = epoch;
    const fetched = Promise.resolve(text).catch(() => undefined);
    let alive = clock.setTimeout(keepAlive, lease.ackWaitMs / 3);
    function keepAlive(): void {
      if (epoch === arrived && !link.dead()) nc.publish(reply, "+WPI");
      alive = clock.setTimeout(keepAlive, lease.ackWaitMs / 3);
    }
    const before = handedOver.get(subject);
    const inOrder = place;
    let letOthersGo = () => {};
    const held = new Promise<void>((resolve) => {
      letOthersGo = resolve;
    });
    const patience = clock.setTimeout(letOthersGo, HOLD_MS);
    place = Promise.all([inOrder, held]);
    resolving++;

    async function handOver(): Promise<void> {
      const whole = await Promise.race([Promise.all([fetched, before, inOrder]), stopping.promise]);
      clock.clearTimeout(alive);
      clock.clearTimeout(patience);
      resolving--;
      if (arrived === epoch) {
        const [body] = whole === "stopped" ? [undefined] : whole;
        const delivery = new JetStreamDelivery(source, subject, reply, info, body ?? "", epoch, clock.now());
        if (isExpired) delivery.expired = true;
        if (stopped) delivery.nak();
        else if (body === undefined) {
          // The store did not answer. It comes again, and the holder knows that order is broken.
          delivery.nak(PAUSE_MS);
          interrupted("a payload could not be fetched");
        } else deliver(delivery);
      }
      letOthersGo();
      if (handedOver.get(subject) === own) handedOver.delete(subject);
      schedule();
    }
    const own = handOver().catch((error) => callbacks.report(what, error));
    handedOver.set(subject, own);
  }

  function giveBack(msg: Msg, word: string): void {
    if (link.stallMs() < lease.ackWaitMs && msg.reply && parseAck(msg.reply) && !nc.isClosed())
      nc.publish(msg.reply, word);
  }

  function onStatus(msg: Msg, ours: string): void {
    heardAt = clock.now();
    const block = headerBlock(msg);
    const { code, why } = statusOf(block);
    lost = code === 503 || /consumer deleted/i.test(why);
    if (code === 100) return; // idle heartbeat
    const token = msg.subject.slice(ours.length + 1);
    const pull = pulls.get(token);
    if (pull) {
      pulls.delete(token);
      const left = header(block, "Nats-Pending-Messages");
      waiting = Math.max(0, waiting - (left ? Math.min(pull.batch, Number(left)) : pull.batch));
    }
    late.ended(token, Number(header(block, "Nats-Pending-Messages") ?? 0));
    if (pulls.size === 0) waiting = 0;
    if (lost) {
      // Each open pull is told; once is enough.
      if (pull && code === 503) mend("the consumer does not answer");
      else if (pull) mend("the consumer was deleted", PAUSE_MS);
    } else if (code === 409) {
      if (/leadership|shutdown/i.test(why)) interrupted(why.toLowerCase());
      askAt = clock.now() + PAUSE_MS;
    } else if (code !== 404 && code !== 408) {
      askAt = clock.now() + PAUSE_MS;
    }
    schedule();
  }

  // ------------------------------------------------------------ when something is wrong

  /**
   * Makes sure the consumer exists. Meanwhile it is asked on: it may only be without a leader, and then
   * it is back before the server's answer to this, which needs a leader of its own.
   *
   * A consumer that was deleted is not made again at once: the server tells of the deletion before it removes the
   * consumer's state, and a new one of that name could take over the old one's (seen once in some dozens: what the old
   * one had delivered came again only after its `ack_wait`).
   */
  function mend(why: string, afterMs = 0): void {
    forgetPulls();
    // Its stream may be gone, too.
    keeper.suspect(`consumer ${options.consumer}`, next, "setup");
    askAt = clock.now() + PAUSE_MS;
    interrupted(why);
    if (mending) return;
    mending = true;
    clock.setTimeout(async () => {
      try {
        // Stopped meanwhile: whoever deleted it may have meant it.
        if (!stopped) await lease.ensure();
        mendings.reset();
      } catch (error) {
        // The next pull fails, too, and brings us here again, later each time.
        askAt = clock.now() + mendings.next();
        if (error instanceof LogRefusedError) callbacks.report(`making consumer ${options.consumer} again`, error);
      }
      mending = false;
    }, afterMs);
  }

  const ticks = link.everyTick((now, lateMs) => {
    if (stopped || link.dead() || !sub) return;
    noteStall(now);
    // After a stall of our own, what the server said may lie unread.
    if (lateMs > HEARTBEAT_MS / 2) heardAt = now;
    while (retired.length > 0 && retired[0]!.until < now) retired.shift()!.sub.end();
    for (const [token, pull] of pulls) if (pull.deadline < now) pulls.delete(token);
    if (pulls.size === 0) waiting = 0;
    if (waiting > 0 && now - heardAt > SILENCE_MS) {
      retired.push({ sub, until: now + LATE_MS });
      forgetPulls();
      lost = true;
      openInbox();
      interrupted("the server was silent");
    }
    lease.tick(now);
    ask();
  });

  // What was asked for will not come; the wait is that of a consumer that cannot be made again.
  const denials = link.onDenied(({ operation, subject }) => {
    if (operation !== "publish" || subject !== next) return false;
    lose();
    askAt = clock.now() + mendings.next();
    return false;
  });

  const down = link.onDown(() => {
    epoch++;
    late.void();
    forgetPulls();
    // The server may not have noticed the cut, and would fill these pulls as soon as we are back.
    for (const one of retired.splice(0)) one.sub.end();
    sub?.end();
    sub = undefined;
  });
  const up = link.onUp(() => {
    if (stopped) return;
    openInbox();
    askAt = 0;
    interrupted("reconnected");
    schedule();
  });

  let ending: Promise<void> | undefined;

  async function end(): Promise<void> {
    if (link.dead()) sub?.end();
    else await sub?.drain();
    sub = undefined;
    for (const one of retired.splice(0)) one.sub.end();
    await Promise.all(handedOver.values());
    down.stop();
  }

  function leave(): void {
    stopped = true;
    stopping.resolve("stopped");
    ticks.stop();
    up.stop();
    denials.stop();
  }

  try {
    await lease.begin();
  } catch (error) {
    leave();
    down.stop();
    throw error;
  }
  if (!sub && !link.dead()) openInbox();
  schedule();

  return {
    get ackWaitMs() {
      return lease.ackWaitMs;
    },
    pull: schedule,
    get lost() {
      return lost;
    },
    stop() {
      if (!ending) {
        leave();
        ending = end();
      }
      return ending;
    },
  };
}
