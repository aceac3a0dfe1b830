/**
 * When a request is sent again. nats-server drops what it gets for a stream without a leader, and says nothing: one long
 * wait would be as long as its time-out, though an election is over in a second.
 *
 * T1. What has no answer is sent again after 500 ms, then after twice that, at most 5 s, while its time-out lasts.
 * T2. But only if it seems lost: the stream has answered nothing for that long, or has answered what was sent later. A server
 *     that is slow, with answers still coming, gets no more to do.
 * T3. What the server could not do for now is sent again after 50 ms, then after twice that, at most 500 ms.
 *
 * Checked elsewhere:
 *   T1  tries.test.ts: without an answer is sent again after half a second, then after twice that, at most five (T1)
 *   T2  tries.test.ts: what was sent as number 5 at 1,000 (T2)
 *   T3  tries.test.ts: that was refused for now is sent again after 50 ms, then after twice that, at most 500 (T3)
 */
const SILENCE_MS = { first: 500, most: 5_000 };
const REFUSED_MS = { first: 50, most: 500 };
/** A timer that comes so late has been held up by this process: what was said meanwhile may lie unread. */
export const LATE_MS = 300;

/** @param tries - How often it has been sent: 1, 2, … */
export function silenceMs(tries: number, firstMs = SILENCE_MS.first): number {
  return Math.min(SILENCE_MS.most, firstMs * 2 ** (tries - 1));
}

/** @param tries - How often it has been sent: 1, 2, … */
export function refusedWaitMs(tries: number): number {
  return Math.min(REFUSED_MS.most, REFUSED_MS.first * 2 ** (tries - 1));
}

export interface Sent {
  /** Later requests have higher ones. */
  number: number;
  /** When it was sent last. */
  sentAt: number;
  tries: number;
  /** Default 500. */
  firstMs?: number;
}

/** How far a stream, or whatever answers in turn, has come with its answers. */
export class Answered {
  #upTo = 0;
  #at = Number.NEGATIVE_INFINITY;

  /** @param number - 0 for an answer that is given out of turn. */
  note(number: number, now: number): void {
    this.#at = now;
    if (number > this.#upTo) this.#upTo = number;
  }

  seemsLost({ number, sentAt, tries, firstMs }: Sent, now: number): boolean {
    const waited = now - sentAt;
    if (this.#upTo > number) return waited >= silenceMs(1, firstMs);
    const patience = silenceMs(tries, firstMs);
    return waited >= patience && now - this.#at >= patience;
  }
}
