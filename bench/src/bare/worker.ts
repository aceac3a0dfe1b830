import type { RunStep, SlotOutcome } from "@stepstream/contracts";
import type { Delivery } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { play } from "../role.ts";
import { RECEIPT, WORKER_CONCURRENCY } from "../shapes.ts";

/** What any worker has to do, and nothing else: take a command, append the outcome, wait until it is stored, ack. */
await play(async ({ nats, namespace }) => {
  const log = await connectEventLog({ nats, namespace });
  const { subjects } = log;
  let inHand = 0;

  async function handle(delivery: Delivery): Promise<void> {
    const { run, slot, step, attempt } = JSON.parse(delivery.text) as RunStep;
    const outcome: SlotOutcome = { v: 1, type: "StepCompleted", slot, step, attempt, output: RECEIPT };
    await log.append(subjects.inboxFrom("worker", run), JSON.stringify(outcome), {
      id: `${run}.${slot}.${attempt}.done`,
    });
    delivery.ack();
  }

  const consumption = await log.consume({
    stream: "COMMANDS",
    consumer: subjects.stepConsumer("charge"),
    filter: subjects.all.commandsOfStep("charge"),
    ackWaitMs: 10_000,
    demand: () => WORKER_CONCURRENCY - inHand,
    onDelivery: (delivery) => {
      inHand++;
      void handle(delivery).finally(() => {
        inHand--;
        consumption.pull();
      });
    },
  });
  return undefined;
});
