import type { Decision, InboxMessage, RunEvent, RunStep } from "@stepstream/contracts";
import type { Delivery } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { play } from "../role.ts";
import { charge, INBOX_IN_FLIGHT, ORDER, shapeOf } from "../shapes.ts";

/**
 * What any coordinator of this protocol has to do, and nothing else: take the inbox, append to the journal
 * behind the fence, wait until that is stored, publish the commands, wait, ack. It knows its three workflows by
 * heart: it checks nothing, replays nothing, keeps no deadline.
 */
interface Run {
  journalSeq: number;
  scheduled: number;
  outputs: unknown[];
}

await play(async ({ nats, namespace, shape }) => {
  const log = await connectEventLog({ nats, namespace });
  const { subjects } = log;
  const { name, steps } = shapeOf(shape);
  const runs = new Map<string, Run>();
  const by = "c-barebus0";

  function decide(run: Run, message: InboxMessage): RunEvent[] {
    if (message.type === "StepCompleted") run.outputs[message.slot - 1] = message.output;
    else if (message.type !== "RunStarted") throw new Error(`unexpected ${message.type}`);
    const done = message.type === "RunStarted" ? 0 : run.outputs.length;
    if (name === "fan") {
      if (message.type === "RunStarted") return schedule(run, steps);
      if (Object.keys(run.outputs).length < steps) return [];
      return [{ type: "RunCompleted", output: run.outputs }];
    }
    return done < steps ? schedule(run, 1) : [{ type: "RunCompleted", output: run.outputs.at(-1) }];
  }

  function schedule(run: Run, count: number): RunEvent[] {
    return Array.from({ length: count }, () => {
      run.scheduled++;
      return { type: "StepScheduled", slot: run.scheduled, step: "charge", input: ORDER };
    });
  }

  async function command(id: string, slot: number, delivery: Delivery): Promise<void> {
    const message: RunStep = {
      v: 1,
      type: "RunStep",
      run: id,
      workflow: name,
      slot,
      step: "charge",
      attempt: 1,
      idempotencyKey: `${id}/${slot}`,
      retry: charge.retry,
      timeout: charge.timeout,
      scheduledAt: delivery.at,
      after: delivery.seq,
      input: ORDER,
    };
    const text = JSON.stringify(message);
    await log.append(subjects.command("charge", id, slot), text, { expectLast: 0, id: `${id}.${slot}.1` });
  }

  async function handle(delivery: Delivery): Promise<void> {
    const message = JSON.parse(delivery.text) as InboxMessage;
    const id = subjects.parse(delivery.subject)!.run;
    let run = runs.get(id);
    if (!run) {
      run = { journalSeq: 0, scheduled: 0, outputs: [] };
      runs.set(id, run);
    }
    const events = decide(run, message);
    if (events.length > 0) {
      const decision: Decision = { v: 1, type: "Decision", upTo: delivery.seq, by, events };
      const stored = await log.append(subjects.journal(id), JSON.stringify(decision), { expectLast: run.journalSeq });
      run.journalSeq = stored.seq;
      const slots = events.flatMap((event) => (event.type === "StepScheduled" ? [event.slot] : []));
      if (slots.length === 0) runs.delete(id);
      else await Promise.all(slots.map((slot) => command(id, slot, delivery)));
    }
    delivery.ack();
  }

  for (let partition = 0; partition < subjects.partitions; partition++) {
    let inHand = 0;
    const consumption = await log.consume({
      stream: "EVENTS",
      consumer: `inbox-${partition}`,
      filter: subjects.all.inbox(partition),
      ackWaitMs: 5_000,
      demand: () => INBOX_IN_FLIGHT - inHand,
      onDelivery: (delivery) => {
        inHand++;
        void handle(delivery).finally(() => {
          inHand--;
          consumption.pull();
        });
      },
    });
  }
  return undefined;
});
