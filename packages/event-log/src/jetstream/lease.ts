import type { Clock } from "../clock.ts";
import type { ConsumeOptions } from "../port.ts";
import { ACK_WAIT_KEY, type ConsumerInfo, changeConsumer, ensureConsumer, infoOf, toNanos } from "./consumer.ts";
import type { Requests } from "./requests.ts";

/**
 * How long a consumer lets its messages be without a sign of life (`ack_wait`): one setting of the server, shared by all
 * processes that take from the consumer, whatever each of them asked for.
 *
 * S1. `ackWaitMs`, by which a process keeps alive what it holds, is never longer than the server's, as it was read last, and
 *     never longer than what the server's is going to be.
 * S2. The last process to start decides what it is going to be, and writes it into the consumer's metadata.
 * S3. It is changed only while nothing is in flight: the server measures all messages by the new value at once, also the
 *     delays of those that were given back. And it is made shorter only after all have had the time to read that: whoever
 *     takes messages reads it every 5 s, and whoever holds one keeps it alive at least every third of the old value.
 * S4. All other settings of a consumer that exists stay as they are (see consumer.ts).
 *
 * Checked elsewhere:
 *   S1 S2 S3  test/conformance/leases.test.ts: a consumer that two processes take from with different ack waits
 *   S4  test/conformance/leases.test.ts: keeps what an operator has set for its consumer
 */
const READ_EVERY_MS = 5_000;

export class Lease {
  readonly #requests: Requests;
  readonly #clock: Clock;
  readonly #stream: string;
  readonly #options: ConsumeOptions;
  readonly #onFailed: (error: unknown) => void;
  #realMs: number;
  #plannedMs: number;
  /** Since when the plan is known to be this one. */
  #plannedAt = 0;
  #readAt = 0;
  #used = false;
  #busy = false;

  /** @param onFailed - Called if it could not be read or changed. It is tried again. */
  constructor(
    requests: Requests,
    clock: Clock,
    stream: string,
    options: ConsumeOptions,
    onFailed: (error: unknown) => void,
  ) {
    this.#requests = requests;
    this.#clock = clock;
    this.#stream = stream;
    this.#options = options;
    this.#onFailed = onFailed;
    this.#realMs = options.ackWaitMs;
    this.#plannedMs = options.ackWaitMs;
  }

  get ackWaitMs(): number {
    return Math.min(this.#realMs, this.#plannedMs);
  }

  /** Makes the consumer if it is not there, and says what this process asks for. */
  async begin(): Promise<void> {
    const info = await this.ensure();
    const plannedMs = Math.ceil(this.#options.ackWaitMs);
    if (this.#plannedMs === plannedMs) return this.#settle(info);
    const isHarmless = plannedMs > this.#realMs && info.num_ack_pending === 0;
    this.#see(await this.#change(info, plannedMs, isHarmless ? plannedMs : this.#realMs));
  }

  /** Makes the consumer if it is not there. */
  async ensure(): Promise<ConsumerInfo> {
    const info = await ensureConsumer(this.#requests, this.#stream, this.#options);
    this.#see(info);
    return info;
  }

  /** A message was taken, or is held. */
  used(): void {
    this.#used = true;
  }

  /** To be called often. */
  tick(now: number): void {
    const isOpen = this.#used || this.#realMs !== this.#plannedMs;
    if (this.#busy || !isOpen || now - this.#readAt < READ_EVERY_MS) return;
    this.#used = false;
    this.#readAt = now;
    this.#busy = true;
    this.#read()
      .catch(this.#onFailed)
      .finally(() => {
        this.#busy = false;
      });
  }

  async #read(): Promise<void> {
    const info = await infoOf(this.#requests, this.#stream, this.#options.consumer);
    // One that was deleted is made again by whoever asks it for messages.
    if (!info) return;
    this.#see(info);
    await this.#settle(info);
  }

  /** Carries out what is planned, if that harms nobody. */
  async #settle(info: ConsumerInfo): Promise<void> {
    if (this.#realMs === this.#plannedMs || info.num_ack_pending > 0) return;
    const noticeMs = Math.max(2 * READ_EVERY_MS, this.#realMs);
    if (this.#plannedMs < this.#realMs && this.#clock.now() - this.#plannedAt < noticeMs) return;
    this.#see(await this.#change(info, this.#plannedMs, this.#plannedMs));
  }

  #change({ config }: ConsumerInfo, plannedMs: number, realMs: number): Promise<ConsumerInfo> {
    return changeConsumer(this.#requests, this.#stream, {
      ...config,
      ack_wait: toNanos(realMs),
      metadata: { ...config.metadata, [ACK_WAIT_KEY]: `${plannedMs}` },
    });
  }

  #see({ config }: ConsumerInfo): void {
    const before = this.ackWaitMs;
    const now = this.#clock.now();
    this.#readAt = now;
    this.#realMs = (config.ack_wait ?? toNanos(this.#options.ackWaitMs)) / 1_000_000;
    const planned = Number(config.metadata?.[ACK_WAIT_KEY]);
    const plannedMs = Number.isInteger(planned) && planned > 0 ? planned : this.#realMs;
    if (plannedMs !== this.#plannedMs || this.#plannedAt === 0) this.#plannedAt = now;
    this.#plannedMs = plannedMs;
    if (this.ackWaitMs !== before) this.#options.onAckWait?.(this.ackWaitMs);
  }
}
