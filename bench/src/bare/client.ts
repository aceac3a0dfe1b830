import { type Decision, isTerminal, type RunStarted } from "@stepstream/contracts";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { play } from "../role.ts";
import { ORDER } from "../shapes.ts";

/** What any client has to do, and nothing else: append the start, follow the journal to its end. */
await play(async ({ nats, namespace, shape }) => {
  const log = await connectEventLog({ nats, namespace });
  const { subjects } = log;
  const word = () =>
    Math.floor(Math.random() * 2 ** 32)
      .toString(16)
      .padStart(8, "0");
  const newId = () => word() + word() + word() + word();
  return async () => {
    const run = newId();
    const { promise, resolve } = Promise.withResolvers<void>();
    const following = log.followJournal(run, (stored) => {
      if ((JSON.parse(stored.text) as Decision).events.some(isTerminal)) resolve();
    });
    const start: RunStarted = { v: 1, type: "RunStarted", id: newId(), workflow: shape, version: 1, input: ORDER };
    await log.append(subjects.inboxFrom("client", run), JSON.stringify(start), { expectLast: 0, id: start.id });
    await promise;
    following.stop();
    return run;
  };
});
