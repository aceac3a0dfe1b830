import { DEADLINE, type InboxMessage } from "@stepstream/contracts";
import type { Consumption } from "@stepstream/event-log";
import type { Deps } from "./deps.ts";
import { retrying } from "./retrying.ts";

const IN_FLIGHT = 256;

/**
 * Brings stored timers that have come due to the inboxes of their runs. Any coordinator does it for any
 * run: a due message is a hint, and the run knows what its slot makes of it.
 */
export async function takeDueTimers(deps: Deps): Promise<Consumption> {
  const { log } = deps;
  let inHand = 0;
  const consumption = await log.consume({
    stream: "TIMERS",
    consumer: "due",
    filter: log.subjects.all.due(),
    ackWaitMs: 10_000,
    demand: () => IN_FLIGHT - inHand,
    onDelivery: async (delivery) => {
      inHand++;
      const { run, slot } = log.subjects.parse(delivery.subject)!;
      const message: InboxMessage = { v: 1, type: "TimerFired", slot: slot! > DEADLINE ? slot! - DEADLINE : slot! };
      const append = () =>
        log.append(log.subjects.inbox(run), JSON.stringify(message), { id: `due.${run}.${slot}.${delivery.seq}` });
      await retrying(
        deps,
        () => `tell run ${run} of its timer`,
        append,
        () => true,
      );
      delivery.ack();
      inHand--;
      consumption.pull();
    },
  });
  return consumption;
}
