/**
 * What a blocked event loop finds unread when it turns again, of one consumer.
 *
 * The server goes on sending for the pulls that were open, until they expire. If the stall was long enough, all of that has
 * lain unread for longer than the ack wait: it belongs to another process by now. What comes for pulls that were asked
 * for after the stall does not. A message does not say which pull it is for; but they come in order, so the first ones are the
 * old ones, as many as were asked for, less those that a pull's last status says will not come.
 */
export class LateDeliveries {
  #left = 0;
  #until = 0;
  #pulls: ReadonlySet<string> = new Set();

  /**
   * The event loop was blocked.
   *
   * @param waiting - How many messages were asked for and may still come.
   * @param pulls - Those that are open, and when each expires at the server.
   */
  begin(now: number, ackWaitMs: number, waiting: number, pulls: ReadonlyMap<string, number>): void {
    if (now < this.#until || waiting === 0) return;
    if (!(now - Math.max(...pulls.values()) > ackWaitMs)) return;
    this.#left = waiting;
    this.#pulls = new Set(pulls.keys());
    // Whatever lies unread is read well within this time.
    this.#until = now + READ_MS;
  }

  /** A pull has ended: so many messages will not come for it. */
  ended(pull: string, count: number): void {
    if (this.#pulls.has(pull)) this.#left -= count;
  }

  /** A message is read. @returns Whether it has lain unread for longer than the ack wait. */
  take(now: number): boolean {
    if (this.#left <= 0) return false;
    if (now >= this.#until) this.#left = 0;
    return this.#left-- > 0;
  }

  /** The connection was cut. */
  void(): void {
    this.#left = 0;
  }
}

const READ_MS = 1_000;
