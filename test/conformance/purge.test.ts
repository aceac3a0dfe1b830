/**
 * What nats-server does to the consumers of a stream when some of its messages are removed. No code of Stepstream is
 * involved but the test's own connection.
 *
 * The event log removes messages by sequence because of the first of these tests (V1 of remover.ts). If that one fails
 * on a newer server, because the others come again, the workaround may go once no older server is supported any more.
 */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { type Given, type RawStream, rawOnServer } from "./raw.ts";

const RETRY_MS = 500;
const ACK_WAIT_MS = 30_000;

let server: TestServer;
let nc: NatsConnection;

beforeAll(async () => {
  server = await startTestServer();
  nc = await connect({ servers: server.url });
});
afterAll(async () => {
  await nc.close();
  await server.stop();
});

/**
 * Four messages are given back with a delay, and their neighbours on one subject, delivered after them, are removed
 * meanwhile. Two of them: a single one is mostly, but not always, enough for the harm.
 */
async function neighbour(retention: "limits" | "workqueue", remove: (raw: RawStream) => Promise<void>) {
  const raw = await rawOnServer(nc, retention);
  await raw.consumer("c", "in.>", ACK_WAIT_MS);
  for (const subject of ["in.a", "in.b", "in.c", "in.d", "in.gone", "in.gone", "in.next"]) await raw.publish(subject);
  const [a, b, c, d, , , next] = await raw.take("c", 7);
  const waiting = [a, b, c, d] as Given[];
  for (const one of waiting) await raw.nak("c", one, RETRY_MS);
  await remove(raw);
  await raw.ack("c", next!);
  return { raw, waiting };
}

describe.each(["limits", "workqueue"] as const)(
  "in a stream with retention %s, a message that is removed",
  (retention) => {
    it("by a purge of its subject, which is narrower than the consumer's filter, strands the others", async () => {
      const { raw } = await neighbour(retention, (raw) => raw.purge("in.gone"));
      expect(await raw.await("c", 4, 3 * RETRY_MS)).toEqual([]);
      // They are still stored, and look outstanding: all that gives them away is that they lie below the floor.
      expect(await raw.stored()).toEqual(retention === "limits" ? [1, 2, 3, 4, 7] : [1, 2, 3, 4]);
      expect((await raw.state("c")).floor).toBe(7);
      await raw.close();
    });

    it("by its sequence does no harm: all others are delivered again", async () => {
      const { raw, waiting } = await neighbour(retention, (raw) => raw.remove("in.gone"));
      const again = await raw.await("c", 4, 10 * RETRY_MS);
      expect(again.map(({ seq }) => seq).toSorted()).toEqual(waiting.map(({ seq }) => seq));
      expect(await raw.state("c")).toMatchObject({ floor: 0, pending: 4 });
      await raw.close();
    });
  },
);

describe("a purge", () => {
  it("of a subject outside of the consumer's filter does not touch the consumer", async () => {
    const raw = await rawOnServer(nc, "limits");
    await raw.consumer("c", "in.>", ACK_WAIT_MS);
    for (const subject of ["out.x", "in.a", "in.b", "out.x", "in.c"]) await raw.publish(subject);
    const [a, b, c] = await raw.take("c", 3);
    await raw.nak("c", a!, RETRY_MS);
    await raw.nak("c", b!);
    await raw.purge("out.x");
    expect(await raw.state("c")).toEqual({ delivered: 5, consumerSeq: 3, floor: 0, consumerFloor: 0, pending: 3 });
    // The one that is queued for its redelivery comes at once, the other after its delay.
    expect((await raw.take("c", 3)).map(({ seq }) => seq)).toEqual([b!.seq]);
    await raw.ack("c", c!);
    expect((await raw.await("c", 1, 10 * RETRY_MS)).map(({ seq }) => seq)).toEqual([a!.seq]);
    await raw.close();
  });

  it("of a subject within the filter makes what is queued for redelivery wait for another ack_wait", async () => {
    const raw = await rawOnServer(nc, "limits");
    await raw.consumer("c", "in.>", 4 * RETRY_MS);
    for (const subject of ["in.first", "in.a", "in.gone", "in.gone"]) await raw.publish(subject);
    const [first, a] = await raw.take("c", 4);
    await raw.ack("c", first!); // The floor is not below the stream's first message: nothing is stranded.
    await raw.nak("c", a!);
    await raw.purge("in.gone");
    expect(await raw.take("c", 3)).toEqual([]);
    expect((await raw.await("c", 1, 10 * RETRY_MS)).map(({ seq }) => seq)).toEqual([a!.seq]);
    await raw.close();
  });
});
