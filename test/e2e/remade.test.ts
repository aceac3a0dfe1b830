/** A namespace that is deleted and made again with another number of partitions, under coordinators and a worker that run. */
import { type ConnectionOptions, connect as dial } from "@nats-io/transport-node";
import { type Coordinator, type CoordinatorEvent, createCoordinator } from "@stepstream/coordinator";
import { openNamespaces } from "@stepstream/event-log/jetstream";
import { connect, step, workflow } from "@stepstream/sdk";
import { createWorker, type WorkerEvent } from "@stepstream/step-worker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { startTestServer, type TestServer } from "../support/nats.ts";

const int = { input: z.int(), output: z.int() };
const double = step("double", int);
const chain = workflow("chain", int, async (n, w) => {
  const once = await w.run(double, n);
  await w.sleep("10ms");
  return w.run(double, once);
});

let server: TestServer;
const ends: (() => unknown)[] = [];
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await server?.stop();
});

describe("a namespace that is made again with another number of partitions", { timeout: 60_000 }, () => {
  it("has its new runs end with the coordinators that were there before; the worker stops, and one that is started again works", async () => {
    const nats: ConnectionOptions = { servers: server.url };
    const namespace = `remade-${process.pid}`;
    const namespaces = await openNamespaces({ nats });
    ends.push(() => namespaces.close());
    await namespaces.create(namespace, { partitions: 3 });
    const events: CoordinatorEvent[] = [];
    const coordinators: Coordinator[] = [];
    for (let i = 0; i < 2; i++) {
      const onEvent = (event: CoordinatorEvent) => void events.push(event);
      coordinators.push(await createCoordinator({ nats, namespace, workflows: [chain], onEvent }).start());
    }
    ends.push(() => Promise.all(coordinators.map((one) => one.stop())));
    const ended = Promise.withResolvers<void>();
    const work = async (onEnded: () => void) => {
      const logger = { info() {}, warn() {}, error() {} };
      const onEvent = (event: WorkerEvent) => {
        if (event.type === "connection" && event.state === "closed") onEnded();
      };
      const worker = createWorker({ nats, namespace, logger, onEvent });
      worker.handle(double, async (n) => 2 * n);
      await worker.start();
      ends.push(() => worker.stop({ drainMs: 0 }));
    };
    await work(ended.resolve);

    const ten = async (name: string) => {
      const client = await connect({ nats, namespace });
      const runs = await Promise.all(
        Array.from({ length: 10 }, (_, n) => client.start(chain, n, { id: `${name}-${n}` })),
      );
      const results = await Promise.all(runs.map((run) => run.result({ timeout: "30s" })));
      await client.close();
      return results;
    };
    const expected = Array.from({ length: 10 }, (_, n) => 4 * n);
    expect(await ten("before")).toEqual(expected);

    // As `namespace delete --force` and `namespace create` do it, or an operator by hand.
    const nc = await dial(nats);
    ends.push(() => nc.close());
    for (const stream of ["EVENTS", "COMMANDS", "TIMERS", "DEAD", "BLOBS"])
      await nc.request(`$JS.API.STREAM.DELETE.${namespace}_${stream}`);
    const made = await namespaces.create(namespace, { partitions: 5 }).catch((error) => error);
    // The processes that are there may have been faster, and make it again as it was: then it is deleted once more.
    if (made !== true) console.log(`made again by a process that was there: ${made}`);
    for (let tries = 0; made !== true && tries < 20; tries++) {
      for (const stream of ["EVENTS", "COMMANDS", "TIMERS", "DEAD", "BLOBS"])
        await nc.request(`$JS.API.STREAM.DELETE.${namespace}_${stream}`);
      if ((await namespaces.create(namespace, { partitions: 5 }).catch(() => false)) === true) break;
    }
    expect((await namespaces.info(namespace)).partitions).toBe(5);

    const from = performance.now();
    // A coordinator begins again from the log. A worker stops: its program exits, and its process manager starts it again.
    await ended.promise;
    console.log(`the worker stopped after ${Math.round(performance.now() - from)} ms`);
    await work(() => {});
    expect(await ten("after")).toEqual(expected);
    console.log(`new runs ended ${Math.round(performance.now() - from)} ms after the namespace was made again`);
    expect(performance.now() - from).toBeLessThan(20_000);
    // Each partition has one coordinator.
    const all = () => coordinators.flatMap(({ partitions }) => partitions).toSorted();
    await expect.poll(all, { timeout: 10_000 }).toEqual([0, 1, 2, 3, 4]);
  });
});
