import type { PermissionDeniedError, Retention, StreamKind, Subjects } from "@stepstream/contracts";

/**
 * The port to the event log: all that Stepstream asks of JetStream, and no more. Two
 * implementations stand behind it (JetStream, memory) and one conformance suite passes on both.
 *
 * L1. An append that is acknowledged is stored, once per `id` within two minutes.
 * L2. An append with `expectLast` is stored only if that is the subject's last sequence.
 * L3. A delivery comes at least once until it is acked; it comes again after `ackWaitMs` of silence,
 *     after a nak, after its consumer's process is gone. Order holds for first deliveries on one
 *     unbroken connection and for nothing else.
 * L4. `read` may be stale (a replica answers) unless `fresh` is asked for.
 * L5. A timer's message comes on or after its time, at least once, unless it was cancelled in time.
 * L6. `broadcast` may be lost.
 * L7. A callback that throws or rejects ends nothing: no subscription, no consumption, no connection. It is reported
 *     to `onError`, and a delivery that it was given comes again.
 * L8. `duplicate` is true only if the message that was stored first is on the same subject with the same text.
 * L9. What one process asks for of a consumer never takes a message from another that keeps it alive by
 *     `Consumption.ackWaitMs`, and changes no other setting of a consumer that exists.
 *
 * A message too large for the bus (over 256 KiB) is kept in an object store under
 * `<run>/<content hash>`; the message on the bus carries the reference, and readers never notice.
 *
 * Checked elsewhere:
 *   L1  test/conformance/suite.ts: an id (L1)
 *   L2  test/conformance/suite.ts: a fence (L2)
 *   L3  test/conformance/suite.ts: a consumer (L3)
 *   L4  test/simulation/log.test.ts: may be read from a replica that is behind, unless it asks for better
 *   L5  test/conformance/suite.ts: timers (L5)
 *   L6  test/conformance/suite.ts: hints, to whoever listens to the subject (L6)
 *   L7  test/conformance/suite.ts: a callback that throws, or rejects (L7)
 *   L8  test/conformance/suite.ts: neither on another subject nor with another text (L8)
 *   L9  test/conformance/suite.ts: with different ack waits (L9)
 */
/** What is stored of runs besides messages: contents that were too large for one. */
export interface Contents {
  /** The runs of which some is stored. */
  runs(): Promise<ReadonlySet<string>>;
  /**
   * Removes all of a run that is gone, unless some of it is younger than `minAgeMs`.
   *
   * @param isGone - Asked afterwards: if there is a run of this id now, all is stored again.
   * @returns How many chunks.
   */
  remove(run: string, options: { minAgeMs: number; isGone: () => Promise<boolean> }): Promise<number>;
}

export interface EventLog {
  readonly subjects: Subjects;
  /** Changes with every server process that is connected to: a sign that unsynced data may be gone. */
  readonly serverId: string;
  /**
   * The server's time in epoch milliseconds, as far as it is known here: never ahead of it, and behind by less than the time
   * of a round trip. What the server stored is compared with this, and with no machine's own clock.
   */
  serverNow(): number;

  /**
   * Stores a message.
   * @throws {WrongLastSequenceError} The fence does not hold; nothing was written.
   * @throws {LogUnavailableError} No acknowledgement came; `detail.outcome` says whether it may be stored.
   * @throws {LogRefusedError} The server said no; nothing was written.
   */
  append(subject: string, text: string, options?: AppendOptions): Promise<Appended>;

  /** All messages of one exact subject, by stream sequence; or of those that differ in the last token, which is `*` then. */
  read(subject: string, options?: ReadOptions): Promise<Stored[]>;
  /** The last message of one exact subject, or of those that differ in the last token, which is `*` then. */
  last(subject: string, options?: ReadOptions): Promise<Stored | undefined>;
  /**
   * The last messages of exact subjects of one stream, by subject: many in one request. May be stale, as `read`. What was too
   * large for a message is not fetched.
   */
  lasts(subjects: readonly string[]): Promise<Map<string, Glimpse>>;
  /** The subjects (wildcards allowed) that hold messages, with how many. For people and takeovers, not the hot path. */
  list(stream: StreamKind, filter: string): Promise<Map<string, number>>;
  /**
   * How many messages are stored whose subject matches (wildcards allowed): one short answer, however many there are. May be
   * stale, as `read`.
   * @param fromSeq - Only those from this stream sequence on. Default 1.
   */
  count(stream: StreamKind, filter: string, fromSeq?: number): Promise<number>;
  /**
   * The oldest message at or after a stream sequence whose subject matches (wildcards allowed), as the leader has it.
   * @param fromSeq - Default 1.
   */
  oldest(
    stream: StreamKind,
    filter: string,
    fromSeq?: number,
  ): Promise<Pick<Stored, "subject" | "seq" | "at"> | undefined>;
  /**
   * Messages whose subject matches (wildcards allowed) from a stream sequence on, in the order of the stream. May be stale.
   * @param limit - At most so many, up to 1,000. It may be fewer although there are more, but none only where there are none.
   */
  scan(stream: StreamKind, filter: string, fromSeq: number, limit: number): Promise<Stored[]>;
  /**
   * Removes the messages of one exact subject (or of those that differ in the last token, which is `*` then), each by its sequence: all, all but the last `keep`, or those up to the
   * stream sequence `upTo`. The oldest goes first. What is stored during the call stays. Consumers skip what is gone.
   *
   * @returns How many. A message that another has removed is not counted, and is no error.
   * @throws {LogUnavailableError} No answer came: some may be gone. Calling again is safe.
   * @throws {LogRefusedError} The server said no.
   */
  remove(subject: string, options?: { keep?: number; upTo?: number }): Promise<number>;

  /**
   * What was chosen for the namespace, and how many messages of EVENTS have been removed so far. Absent where nothing can
   * be chosen.
   */
  readonly namespace?: (() => Promise<NamespaceState>) | undefined;

  /** Stores a timer: a message on `due` of run and slot at `atMs` (epoch) or soon after. Again is a replacement. */
  setTimer(run: string, slot: number, atMs: number): Promise<void>;
  /**
   * When the stored timer of a slot fires, in epoch milliseconds; undefined if none is stored. One that nats-server
   * restored after a crash is also reported, and never fires.
   */
  timerAt(run: string, slot: number): Promise<number | undefined>;
  /** Removes it. May lose the race against its firing. */
  cancelTimer(run: string, slot: number): Promise<void>;

  /** Absent where a message of any size is stored as it is. */
  readonly contents?: Contents;

  /** Takes messages from a durable consumer, which is made if it is not there. */
  consume(options: ConsumeOptions): Promise<Consumption>;
  /** How far a durable consumer has come; both are 0 if it does not exist. */
  progress(stream: StreamKind, consumer: string): Promise<Progress>;
  /** What the durable consumers of a stream have not done with, by their names. For metrics. */
  backlog(stream: StreamKind): Promise<Map<string, Backlog>>;

  /** Each message stored on the journal of a run, as it is stored (core NATS: may miss some; read to be sure). */
  followJournal(run: string, onStored: (stored: Stored) => void): Subscription;
  /** A hint to whoever listens now. */
  broadcast(subject: string, text: string): void;
  listen(subject: string, onMessage: (text: string, subject: string) => void): Subscription;

  /**
   * Asks whoever answers on a subject, and takes the first answer (core NATS).
   * @returns undefined if nobody listens there, or none has answered within `timeoutMs`.
   */
  ask(subject: string, text: string, timeoutMs: number): Promise<string | undefined>;
  /** Answers on a subject (wildcards allowed). `undefined` is no answer: somebody else may have one. */
  answer(subject: string, reply: (text: string, subject: string) => Promise<string | undefined>): Subscription;

  /** Called after every reconnection, with the server's id. */
  onReconnect(fn: (serverId: string) => void): Subscription;
  /** Called when the connection changes. Absent where there is none. */
  onConnection?(fn: (change: ConnectionChange) => void): Subscription;
  /**
   * Called when the server does not permit something: at once, then at most once in 10 s for each permission. A call that
   * was denied throws as well. Without a listener, the rest are warnings of the process. Absent where all is permitted.
   */
  onDenied?(fn: (report: DenialReport) => void): Subscription;
  /** Returns what the server has not permitted in the last minute, one for each permission. */
  denials(): readonly Denial[];
  /**
   * Called when streams of the namespace were lost with all that was in them, and exist again, empty: deleted by hand, or
   * the server has another disk. Each process is notified once of each loss. Absent where streams cannot get lost.
   */
  onStreamsLost?(fn: (streams: readonly (StreamKind | "BLOBS")[]) => void): Subscription;
  /**
   * Called with what a callback of this log threw, or its promise rejected with; `what` says which callback. Nothing
   * else becomes of it (L7). Default: a warning of the process.
   */
  onError(fn: (what: string, error: unknown) => void): Subscription;
  /** Sends what is buffered, then disconnects (if the connection is the log's own). */
  close(): Promise<void>;

  /**
   * Connects to the same servers and namespace again, on a new connection, which is the new log's own. For a process in
   * which code was stopped: the state of the old connection cannot be trusted. Absent where there is no connection.
   */
  reopen?(): Promise<EventLog>;
  /** Disconnects at once, sends nothing and waits for nothing. A connection that is not the log's own stays. */
  abandon?(): void;
}

export type ConnectionChange =
  /** It is cut, and being dialled again. */
  | { state: "down"; why: string }
  /** The server did not accept the login; it is tried again. */
  | { state: "refused"; why: string }
  /** It is back, after so long. */
  | { state: "up"; downMs: number }
  /** It has ended for good, without this log's `close()`. Nothing of this log works any more. */
  | { state: "closed"; why: string };

/** What the server does not permit. */
export interface Denial {
  operation: "publish" | "subscribe";
  /** What was denied last. */
  subject: string;
  /** The permission needed: a subject, in which wildcards may stand. */
  needed: string;
}

export interface DenialReport extends Denial {
  /** How often it was denied since the last report. */
  more: number;
  /** A call has failed with it, and its caller knows. */
  thrown: boolean;
  error: PermissionDeniedError;
}

export interface NamespaceState {
  /** Which ended runs are removed. Absent: none. */
  retention?: Retention;
  /** Messages of EVENTS that were stored once and are not any more. */
  removed: number;
}

/** How far a durable consumer has come, in stream sequences. */
export interface Progress {
  /** The highest that was delivered. */
  delivered: number;
  /** No message up to this one will be delivered again, whether or not it was acknowledged. */
  ackFloor: number;
}

/** Messages of one consumer. */
export interface Backlog {
  /** Not delivered yet. */
  waiting: number;
  /** Delivered, and not acknowledged. */
  taken: number;
}

export interface Subscription {
  stop(): void;
}

export interface AppendOptions {
  /** The subject's last sequence, 0 for none: a fence (optimistic concurrency control). */
  expectLast?: number;
  /** `Nats-Msg-Id`: the same id within two minutes is stored once. */
  id?: string;
  /**
   * What to do where no answer comes and the message seems lost. (What the server says is not stored because it is
   * unavailable is sent again in any case.)
   *
   * - "resend": send the same again, until the log's time-out. The default with a fence or an id, which keep it one.
   * - "wait": only wait, until that time-out. The default without: it could be stored twice.
   * - "fail": fail at once with `LogUnavailableError`, outcome "unknown": the caller looks before it sends again.
   */
  ifLost?: "resend" | "wait" | "fail";
}

export interface Appended {
  /** The stream sequence; of the first message where `duplicate`. */
  seq: number;
  duplicate: boolean;
  /** A command whose first message is not in the queue any more: it was handled, or was another message of that id. */
  gone?: true;
  /** The text of another message that had the id before: this one is stored without it. */
  displacedBy?: string;
}

export interface ReadOptions {
  /** From this stream sequence on. Default 1. Not for `last`. */
  fromSeq?: number;
  /** Ask the stream's leader, at a higher price. Default false. */
  fresh?: boolean;
}

export interface Stored {
  subject: string;
  seq: number;
  /** When the server stored it, in epoch milliseconds. */
  at: number;
  text: string;
}

/** A message as it is on the bus. */
export interface Glimpse extends Stored {
  /** Its content was too large: `text` only refers to it. */
  isReference?: true;
}

export interface Delivery extends Stored {
  /** How often it has been delivered, this time included: 1 for the first. No attempt number. */
  deliveries: number;
  /** The consumer's own sequence: without a hole where this process got all that was delivered. */
  consumerSeq: number;
  /** Done with it. May get lost: then it comes again. */
  ack(): void;
  /** Again, after `delayMs` (default 0). */
  nak(delayMs?: number): void;
  /** Still at it: the consumer's `ackWaitMs` starts anew. */
  working(): void;
  /** The subject on which another connection can keep it alive. Absent where none can. */
  readonly ackSubject?: string;
  /** Another connection has kept it alive, the last time at `at`. */
  kept?(at: number): void;
  /**
   * It has lain unread for longer than the consumer's `ackWaitMs`, in a process whose event loop was blocked. The server has
   * given it to another process, or is about to: there is nothing to do for it.
   */
  readonly expired?: true;
}

export interface ConsumeOptions {
  stream: StreamKind;
  /** The durable's name, one token. */
  consumer: string;
  /** What it takes of the stream. */
  filter: string;
  /**
   * Silence after which a message is to be delivered again, in milliseconds. It is a setting of the consumer, which all who
   * take from it share: the last to start decides, and it takes effect when no message is in flight. Until then, and
   * whenever it is another, `Consumption.ackWaitMs` says how often to call `working()`.
   */
  ackWaitMs: number;
  /** `Consumption.ackWaitMs` has changed. */
  onAckWait?(ackWaitMs: number): void;
  /** How many messages the holder can take right now, those already on the way included in none. */
  demand(): number;
  onDelivery(delivery: Delivery): void;
  /** The flow of first deliveries may have been broken (reconnect, lost pull): do not trust the order since. */
  onInterrupted?(why: string): void;
}

export interface Consumption {
  /** The silence that is allowed now, in milliseconds: what is held longer needs a `working()` within each. */
  readonly ackWaitMs: number;
  /** Tells it that `demand()` has grown. Cheap; call it often. */
  pull(): void;
  /** Pulls no more. Resolves when no message can arrive any more; those delivered are still to be acked. */
  stop(): Promise<void>;
  /** Its consumer does not answer now: the server is silent, or has no such consumer. Absent where that cannot be. */
  readonly lost?: boolean;
}
