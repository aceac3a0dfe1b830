import type { Msg, NatsConnection, Subscription as NatsSubscription } from "@nats-io/transport-node";
import type { Clock } from "../clock.ts";
import { Retry } from "../retry.ts";

/**
 * A subscription that lasts. nats.js ends one for good that the server does not permit; the server also removes one when
 * its permissions are reloaded, and does not bring it back.
 *
 * B1. One that was denied is made again after growing waits of at most 4 s, until it is permitted or ended.
 * B2. `active` is false from the denial until a round trip has shown that it is permitted.
 *
 * The denial itself is reported by the link, whatever it was for.
 *
 * Checked elsewhere:
 *   B1  test/conformance/denied.test.ts: a subscription that is denied, and permitted later, receives again
 *   B2  test/conformance/denied.test.ts: a request fails at once while its replies are denied, and not after
 */
export interface LastingSubscription {
  readonly active: boolean;
  /** Ends it at once. */
  end(): void;
  /** Ends it when what is on its way has come. */
  drain(): Promise<void>;
}

const WAITS = { firstMs: 250, longestMs: 4_000 };

export function subscribeLasting(
  nc: NatsConnection,
  clock: Clock,
  subject: string,
  onMessage: (msg: Msg) => void,
  onDenied: () => void = () => {},
): LastingSubscription {
  let current: NatsSubscription;
  let active = true;
  let ended = false;
  const retry = new Retry(clock, again, WAITS);

  function open(): void {
    const own = nc.subscribe(subject, {
      callback(denied, msg) {
        if (!denied) return onMessage(msg);
        if (ended || current !== own) return;
        active = false;
        retry.schedule();
        onDenied();
      },
    });
    current = own;
  }

  async function again(): Promise<void> {
    if (nc.isClosed()) return;
    open();
    const own = current;
    // A denial is answered before the round trip is. Without a connection there will be another denial, or none.
    await nc.flush().catch(() => {});
    if (ended || current !== own || own.isClosed()) return;
    active = true;
    retry.done();
  }

  function stop(): boolean {
    if (ended) return false;
    ended = true;
    retry.stop();
    return !nc.isClosed() && !current.isClosed();
  }

  open();
  return {
    get active() {
      return active;
    },
    end() {
      if (stop()) current.unsubscribe();
    },
    async drain() {
      if (stop()) await current.drain().catch(() => {});
    },
  };
}
