import { connect, type NatsConnection } from "@nats-io/transport-node";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { consumers } from "./consumers.ts";
import { type Given, type RawStream, rawInMemory, rawOnServer } from "./raw.ts";

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

consumers("the log in memory", rawInMemory);
consumers("nats-server", (retention) => rawOnServer(nc, retention));

/** A request, drawn by chance; which message it is about depends on what was delivered. */
type Step = ["publish" | "purge" | "remove", string] | ["take" | "ack" | "nak", number];

const subject = fc.constantFrom("a", "b", "c");
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.constant("publish" as const), subject) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom("purge" as const, "remove" as const), subject) },
  { weight: 3, arbitrary: fc.tuple(fc.constant("take" as const), fc.integer({ min: 1, max: 4 })) },
  { weight: 4, arbitrary: fc.tuple(fc.constantFrom("ack" as const, "nak" as const), fc.nat(20)) },
);

/** All that can be seen of a stream and its consumer after each request. */
async function trace(raw: RawStream, filter: string, steps: readonly Step[]): Promise<string[]> {
  await raw.consumer("c", filter, 30_000);
  const seen: string[] = [];
  const given: Given[] = [];
  for (const [word, what] of steps) {
    const came = word === "take" ? await raw.take("c", what) : [];
    given.push(...came);
    if (word === "publish") await raw.publish(what);
    else if (word === "purge") {
      // Of two at least: see consumers.ts.
      for (let i = 0; i < 2; i++) await raw.publish(what);
      await raw.purge(what);
    } else if (word === "remove") await raw.remove(what);
    else if (word !== "take" && given.length > 0) await raw[word]("c", given[Number(what) % given.length]!);
    seen.push(`${word} ${what}: ${JSON.stringify(came)} ${JSON.stringify(await settled(raw))} ${await raw.stored()}`);
  }
  await raw.close();
  return seen;
}

/** The server counts a removal a moment later. */
async function settled(raw: RawStream) {
  for (let before = ""; ; ) {
    const state = await raw.state("c");
    if (JSON.stringify(state) === before) return state;
    before = JSON.stringify(state);
  }
}

describe("whatever is asked of a consumer", () => {
  it.each(["limits", "workqueue"] as const)("the log in memory does what nats-server does (%s)", async (retention) => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(">", "a"),
        fc.array(step, { minLength: 10, maxLength: 40, size: "max" }),
        async (filter, steps) => {
          const onServer = await trace(await rawOnServer(nc, retention), filter, steps);
          expect(await trace(await rawInMemory(retention), filter, steps)).toEqual(onServer);
        },
      ),
      { numRuns: 40, seed: 9 },
    );
  });
});
