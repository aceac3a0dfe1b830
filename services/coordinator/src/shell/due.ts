import { DEADLINE, type InboxMessage, MalformedMessageError } from "@stepstream/contracts";
import type { Consumption, Delivery } from "@stepstream/event-log";
import { deadLetter } from "./dead-letters.ts";
import type { Deps } from "./deps.ts";
import { place } from "./place.ts";
import { retrying } from "./retrying.ts";

const IN_FLIGHT = 256;

/**
 * Brings stored timers that have come due to the inboxes of their runs. Any coordinator does it for any
 * run: a due message is a hint, and the run knows what its slot makes of it.
 */
export async function takeDueTimers(deps: Deps): Promise<Consumption> {
  const { log } = deps;
  /** By their sequence, with the delivery that counts: one that is redelivered while it is in hand replaces the other. */
  const inHand = new Map<number, Delivery>();
  let consumption: Consumption | undefined;
  let stopped = false;

  async function handle(delivery: Delivery): Promise<void> {
    const { run, slot } = log.subjects.parse(delivery.subject) ?? {};
    if (run === undefined || slot === undefined) {
      await deadLetter(deps, delivery, new MalformedMessageError(place(delivery), "", "its subject names no timer"));
      return delivery.ack();
    }
    const message: InboxMessage = { v: 1, type: "TimerFired", slot: slot > DEADLINE ? slot - DEADLINE : slot };
    const append = () =>
      log.append(log.subjects.inboxFrom("coordinator", run), JSON.stringify(message), {
        id: `due.${run}.${slot}.${delivery.seq}`,
      });
    const told = await retrying(deps, "append a fired timer to an inbox", append, () => !stopped, run);
    if (told) inHand.get(delivery.seq)?.ack();
  }

  consumption = await log.consume({
    stream: "TIMERS",
    consumer: "due",
    filter: log.subjects.all.due(),
    ackWaitMs: 10_000,
    demand: () => IN_FLIGHT - inHand.size,
    onDelivery: async (delivery) => {
      const isInHand = inHand.has(delivery.seq);
      inHand.set(delivery.seq, delivery);
      if (isInHand) return;
      try {
        await handle(delivery);
      } finally {
        inHand.delete(delivery.seq);
        consumption?.pull();
      }
    },
  });
  const stop = consumption.stop.bind(consumption);
  consumption.stop = () => {
    stopped = true;
    return stop();
  };
  return consumption;
}
