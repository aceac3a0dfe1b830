/** Runs whose code comes to the same fault whenever it is run, on the log in memory. */

import { createCoordinator } from "@stepstream/coordinator";
import { systemClock } from "@stepstream/event-log";
import { MemoryServer } from "@stepstream/event-log/memory";
import { connect, workflow } from "@stepstream/sdk";
import { expect, it } from "vitest";
import { z } from "zod";

it("a run that stalls is tried once more by its process, then by the next one", async () => {
  let calls = 0;
  const stalls = workflow("stalls", { input: z.any(), output: z.any() }, async () => {
    calls++;
    await new Promise(() => {});
  });
  const fine = workflow("fine", { input: z.any(), output: z.any() }, async (_, w) => {
    await w.sleep(1);
    return "fine";
  });
  const server = new MemoryServer({ namespace: "faults", partitions: 1, clock: systemClock });
  const boot = (name: string) =>
    createCoordinator({
      log: server.connect(name),
      workflows: [stalls, fine],
      watchdog: false,
      settings: { unparkMs: 20 },
    }).start();
  const client = await connect({ log: server.connect("client") });
  const first = await boot("first");
  const run = await client.start(stalls, {}, { id: "r1" });
  await expect.poll(() => calls).toBe(2);
  // Many looks at parked runs pass meanwhile.
  for (let i = 0; i < 20; i++) expect(await (await client.start(fine, {}, { id: `fine-${i}` })).result()).toBe("fine");
  const parked = await run.status();
  expect(parked).toMatchObject({ status: "parked" });
  expect(calls).toBe(2);
  await first.stop();
  const second = await boot("second");
  await expect.poll(() => calls).toBe(4);
  for (let i = 20; i < 40; i++) expect(await (await client.start(fine, {}, { id: `fine-${i}` })).result()).toBe("fine");
  expect(calls).toBe(4);
  await run.terminate({ reason: "no more" });
  await expect.poll(async () => (await run.status()).status).toBe("terminated");
  await second.stop();
  await client.close();
});
