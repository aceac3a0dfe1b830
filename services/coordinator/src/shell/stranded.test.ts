import type { EventLog } from "@stepstream/event-log";
import { MemoryServer } from "@stepstream/event-log/memory";
import { expect, it } from "vitest";
import { StrandedCommands } from "./stranded.ts";

it("costs two requests for each step and partition, at most once a second", async () => {
  const server = new MemoryServer({ partitions: 1 });
  const log = server.connect("c");
  const requests: string[] = [];
  const counted = new Proxy(log, {
    get(target, key) {
      if (key === "progress" || key === "oldest") requests.push(key);
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  }) as EventLog;
  let now = 1_000_000;
  const stranded = new StrandedCommands(counted, { ...log.clock, now: () => now });
  const { subjects } = log;
  const commands = ["a", "b"].flatMap((step) => ["r1", "r2"].map((run) => subjects.command(step, run, 1)));
  // A worker has done the first of each step, so that the ack floors are above 0.
  for (const step of ["a", "b"]) {
    const first = await log.append(subjects.command(step, "r0", 1), "{}", { expectLast: 0 });
    const taken = Promise.withResolvers<number>();
    const consumption = await log.consume({
      stream: "COMMANDS",
      consumer: subjects.stepConsumer(step),
      filter: subjects.all.commandsOfStep(step),
      ackWaitMs: 1_000,
      demand: () => 1,
      onDelivery: (delivery) => {
        delivery.ack();
        taken.resolve(delivery.seq);
      },
    });
    expect(await taken.promise).toBe(first.seq);
    await consumption.stop();
  }
  for (const command of commands) await log.append(command, "{}", { expectLast: 0 });

  for (let i = 0; i < 5; i++) expect(await stranded.among(commands)).toEqual(new Map());
  expect(requests.sort()).toEqual(["oldest", "oldest", "progress", "progress"]);
  now += 1_000;
  await stranded.among(commands);
  expect(requests).toHaveLength(8);
});
