import { LogRefusedError, type StreamKind, WrongLastSequenceError } from "@stepstream/contracts";
import type { Appended, AppendOptions, Stored } from "../port.ts";
import { matcher } from "./matcher.ts";

/** How streams differ. */
export interface Rules {
  /** An acknowledged message is deleted. */
  readonly workQueue: boolean;
  /** What a subject that holds a message does with another: keeps both, refuses it, replaces the old one. */
  readonly second: "keep" | "refuse" | "replace";
}

/** A consumer, which a purge does something to. */
export interface Purged {
  purged(subject: string): void;
}

/** The same settings as on the server: see streams.ts of the JetStream log. */
export const RULES: Readonly<Record<StreamKind, Rules>> = {
  EVENTS: { workQueue: false, second: "keep" },
  COMMANDS: { workQueue: true, second: "refuse" },
  TIMERS: { workQueue: true, second: "replace" },
  DEAD: { workQueue: false, second: "keep" },
};

/**
 * One stream: a sequence of messages, found by number and by subject.
 *
 * M1. The fence is looked at first, then the id, then whether the subject may hold another message. (So a
 *     repeat with fence 0 is refused, not a duplicate: verified on nats-server 2.15.1.)
 * M2. An id is remembered for two minutes, also after its message has gone. It holds back only the same text on the
 *     same subject; what had it and is gone from a work queue may have been that.
 * M3. Sequences grow by one and are never used again; times never go back.
 *
 * Checked elsewhere:
 *   M1  stream.test.ts: (M1)
 *   M2  stream.test.ts: (M2)
 *   M3  stream.test.ts: (M3)
 */
export class MemoryStream {
  readonly rules: Rules;
  /** Called for each message that was removed by its sequence, or replaced: its consumers are done with it. */
  onRemoved: (seq: number) => void = () => {};
  readonly #messages = new Map<number, Stored>();
  readonly #bySubject = new Map<string, Stored[]>();
  /** The subjects that hold messages, by all of their tokens but the last: for filters that end with `*`. */
  readonly #byPrefix = new Map<string, Set<string>>();
  readonly #ids = new Map<string, { seq: number; at: number }>();
  readonly #dedupeMs: number;
  #seq = 0;
  #lastAt = 0;

  /** @param dedupeMs - How long an id is remembered, in milliseconds. */
  constructor(rules: Rules, dedupeMs: number) {
    this.rules = rules;
    this.#dedupeMs = dedupeMs;
  }

  get lastSeq(): number {
    return this.#seq;
  }

  /** The sequence of its oldest message; where it has none, that of the next. */
  get firstSeq(): number {
    return this.#messages.keys().next().value ?? this.#seq + 1;
  }

  /** How many messages it holds. */
  get size(): number {
    return this.#messages.size;
  }

  append(subject: string, text: string, now: number, { expectLast, id }: AppendOptions = {}): Appended {
    const last = this.lastOf(subject);
    if (expectLast !== undefined && expectLast !== last) throw new WrongLastSequenceError(subject, expectLast);
    const first = id === undefined ? undefined : this.#firstOf(id, now);
    if (first !== undefined) {
      const taken = this.#messages.get(first);
      if (taken?.subject === subject && taken.text === text) return { seq: first, duplicate: true };
      if (!taken && this.rules.workQueue) return { seq: first, duplicate: true, gone: true };
      // The id was another message's: this one is stored without.
      const appended = this.append(subject, text, now, expectLast === undefined ? {} : { expectLast });
      return taken?.subject === subject ? { ...appended, displacedBy: taken.text } : appended;
    }
    if (last > 0 && this.rules.second === "refuse")
      throw new LogRefusedError(`a message on ${subject}`, 10077, "maximum messages per subject exceeded");
    if (last > 0 && this.rules.second === "replace") this.remove(subject);

    const seq = ++this.#seq;
    this.#lastAt = Math.max(this.#lastAt, Math.floor(now));
    const stored = Object.freeze({ subject, seq, at: this.#lastAt, text });
    this.#messages.set(seq, stored);
    const others = this.#bySubject.get(subject);
    if (others) others.push(stored);
    else this.#keep(subject, [stored]);
    if (id !== undefined) this.#ids.set(id, { seq, at: now });
    return { seq, duplicate: false };
  }

  get(seq: number): Stored | undefined {
    return this.#messages.get(seq);
  }

  /** The oldest from a sequence on whose subject matches. */
  next(matches: (subject: string) => boolean, fromSeq: number): Stored | undefined {
    for (const stored of this.#messages.values()) if (stored.seq >= fromSeq && matches(stored.subject)) return stored;
    return undefined;
  }

  /** At most so many from a sequence on whose subject matches. */
  page(matches: (subject: string) => boolean, fromSeq: number, limit: number): Stored[] {
    const found: Stored[] = [];
    for (const stored of this.#messages.values()) {
      if (found.length >= limit) break;
      if (stored.seq >= fromSeq && matches(stored.subject)) found.push(stored);
    }
    return found;
  }

  /** The last sequence of a subject; 0 for none. */
  lastOf(subject: string): number {
    return this.of(subject).at(-1)?.seq ?? 0;
  }

  /** All messages of an exact subject, or of all that differ in their last token, which is `*` then. */
  of(subject: string): readonly Stored[] {
    if (!subject.endsWith(".*")) return this.#bySubject.get(subject) ?? [];
    const all = [...(this.#byPrefix.get(prefixOf(subject)) ?? [])].map((one) => this.#bySubject.get(one)!);
    return all.length === 1 ? all[0]! : all.flat().sort((a, b) => a.seq - b.seq);
  }

  /** @returns whether it was there. */
  delete(seq: number): boolean {
    if (!this.#drop(seq)) return false;
    this.onRemoved(seq);
    return true;
  }

  /** Deletes the messages of a subject one by one, but for the last `keep` and those after `upTo`. @returns how many. */
  remove(subject: string, keep = 0, upTo?: number): number {
    const doomed = this.#doomed(subject, keep, upTo);
    for (const { seq } of doomed) this.delete(seq);
    return doomed.length;
  }

  /**
   * The same in one go, as `STREAM.PURGE` does it: consumers learn of the purge first, and of a message that was the only
   * one also by its sequence.
   */
  purge(subject: string, keep = 0, upTo?: number, consumers: Iterable<Purged> = []): number {
    const doomed = this.#doomed(subject, keep, upTo);
    for (const { seq } of doomed) this.#drop(seq);
    for (const consumer of consumers) consumer.purged(subject);
    if (doomed.length === 1) this.onRemoved(doomed[0]!.seq);
    return doomed.length;
  }

  #doomed(subject: string, keep: number, upTo = Number.POSITIVE_INFINITY): Stored[] {
    const all = this.of(subject);
    return all.slice(0, Math.max(0, all.length - keep)).filter(({ seq }) => seq <= upTo);
  }

  #drop(seq: number): boolean {
    const stored = this.#messages.get(seq);
    if (!stored) return false;
    this.#messages.delete(seq);
    this.#keep(
      stored.subject,
      this.of(stored.subject).filter((other) => other.seq !== seq),
    );
    return true;
  }

  /** How many messages each matching subject holds. Looks at every subject. */
  list(filter: string): Map<string, number> {
    const matches = matcher(filter);
    const found = new Map<string, number>();
    for (const [subject, all] of this.#bySubject) if (matches(subject)) found.set(subject, all.length);
    return found;
  }

  /** How many there are on subjects that match, from a sequence on. Looks at every subject. */
  count(matches: (subject: string) => boolean, fromSeq: number): number {
    let count = 0;
    for (const [subject, all] of this.#bySubject)
      if (matches(subject)) for (const { seq } of all) if (seq >= fromSeq) count++;
    return count;
  }

  /** A server without fsync lost its tail: what was stored after `at` has never been, its sequences are used again. */
  forgetAfter(at: number): void {
    for (; this.#seq > 0; this.#seq--) {
      const stored = this.#messages.get(this.#seq);
      if (stored && stored.at <= at) break;
      if (stored) this.#drop(this.#seq);
    }
    this.forgetIdsOfTheGone();
  }

  /** A server that starts knows the ids of what it has, and no others. */
  forgetIdsOfTheGone(): void {
    for (const [id, { seq }] of this.#ids) if (!this.#messages.has(seq)) this.#ids.delete(id);
  }

  #keep(subject: string, rest: Stored[]): void {
    const prefix = prefixOf(subject);
    const subjects = this.#byPrefix.get(prefix);
    if (rest.length > 0) {
      this.#bySubject.set(subject, rest);
      if (subjects) subjects.add(subject);
      else this.#byPrefix.set(prefix, new Set([subject]));
    } else if (this.#bySubject.delete(subject)) {
      subjects!.delete(subject);
      if (subjects!.size === 0) this.#byPrefix.delete(prefix);
    }
  }

  #firstOf(id: string, now: number): number | undefined {
    for (const [old, { at }] of this.#ids) {
      if (now - at <= this.#dedupeMs) break;
      this.#ids.delete(old);
    }
    return this.#ids.get(id)?.seq;
  }
}

function prefixOf(subject: string): string {
  return subject.slice(0, subject.lastIndexOf(".") + 1);
}
