import type { Stored } from "../port.ts";

const DEDUPE_MS = 120_000;

/** One stream: a sequence of messages, found by number and by subject. */
export class MemoryStream {
  readonly #messages = new Map<number, Stored>();
  readonly #bySubject = new Map<string, number[]>();
  readonly #ids = new Map<string, { seq: number; at: number }>();
  #seq = 0;
  #lastAt = 0;

  get lastSeq(): number {
    return this.#seq;
  }

  /** The first message of this id, if it came within two minutes. */
  byId(id: string, now: number): number | undefined {
    for (const [old, { at }] of this.#ids) {
      if (now - at <= DEDUPE_MS) break;
      this.#ids.delete(old);
    }
    return this.#ids.get(id)?.seq;
  }

  append(subject: string, text: string, now: number, id?: string): Stored {
    const seq = ++this.#seq;
    this.#lastAt = Math.max(this.#lastAt, Math.floor(now));
    const stored = { subject, seq, at: this.#lastAt, text };
    this.#messages.set(seq, stored);
    const seqs = this.#bySubject.get(subject);
    if (seqs) seqs.push(seq);
    else this.#bySubject.set(subject, [seq]);
    if (id !== undefined) this.#ids.set(id, { seq, at: now });
    return stored;
  }

  get(seq: number): Stored | undefined {
    return this.#messages.get(seq);
  }

  /** The last sequence of a subject; 0 for none. */
  lastOf(subject: string): number {
    return this.#bySubject.get(subject)?.at(-1) ?? 0;
  }

  of(subject: string): Stored[] {
    return (this.#bySubject.get(subject) ?? []).map((seq) => this.#messages.get(seq)!);
  }

  delete(seq: number): void {
    const stored = this.#messages.get(seq);
    if (!stored) return;
    this.#messages.delete(seq);
    const seqs = this.#bySubject.get(stored.subject)!.filter((other) => other !== seq);
    if (seqs.length > 0) this.#bySubject.set(stored.subject, seqs);
    else this.#bySubject.delete(stored.subject);
  }

  list(filter: string): Map<string, number> {
    const matches = matcher(filter);
    const found = new Map<string, number>();
    for (const [subject, seqs] of this.#bySubject) if (matches(subject)) found.set(subject, seqs.length);
    return found;
  }
}

/** NATS' subject wildcards: `*` is one token, `>` is one or more at the end. */
export function matcher(filter: string): (subject: string) => boolean {
  const wanted = filter.split(".");
  return (subject) => {
    const tokens = subject.split(".");
    for (let i = 0; i < wanted.length; i++) {
      if (wanted[i] === ">") return tokens.length > i;
      if (tokens[i] === undefined || (wanted[i] !== "*" && wanted[i] !== tokens[i])) return false;
    }
    return tokens.length === wanted.length;
  };
}
