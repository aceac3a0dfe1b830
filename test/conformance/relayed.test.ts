/** What nats-server publishes for a user that may not publish it itself: answers, with a reply subject of that user's choice. */
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";

const RUN = "r1";
const FORGED = '{"v":1,"type":"Forged"}';

let server: TestServer;
let nc: NatsConnection;
let log: EventLog;
beforeAll(async () => {
  server = await startTestServer();
  const namespace = `relayed-${process.pid}`;
  log = await connectEventLog({ nats: server.url, namespace, partitions: 1 });
  nc = await connect({ servers: server.url });
  // What it may store: it is the content of this that it wants elsewhere.
  await nc.request(source(), FORGED);
});
afterAll(async () => {
  await log?.close();
  await nc?.close();
  await server?.stop();
});

const source = () => log.subjects.attempts(RUN, 1);
/** The server stores or sends there what is stored at `source`. */
function relay(to: string): void {
  const events = log.subjects.streamName("EVENTS");
  nc.publish(`$JS.API.DIRECT.GET.${events}.${source()}`, "", { reply: to });
}
/** Resolves once the server has handled all that was published on the connection. */
const handled = () => nc.flush();
const typeOf = (text: string | undefined) => text && JSON.parse(text).type;

describe("an answer of nats-server on a subject of our own", () => {
  it("is not read as a message, in whatever way it is read", async () => {
    const journal = log.subjects.journal(RUN);
    relay(journal);
    await expect.poll(async () => (await log.list("EVENTS", journal)).get(journal)).toBe(1);
    const [read] = await log.read(journal);
    expect(typeOf(read?.text)).toBe("Relayed");
    for (const fresh of [true, false]) expect(typeOf((await log.last(journal, { fresh }))?.text)).toBe("Relayed");
    expect(typeOf((await log.lasts([journal])).get(journal)?.text)).toBe("Relayed");
    expect(typeOf((await log.scan("EVENTS", journal, 1, 10))[0]?.text)).toBe("Relayed");
    // The same text, published: the difference is who did it.
    await log.append(journal, FORGED);
    expect(typeOf((await log.last(journal))?.text)).toBe("Forged");
  });

  it("is not delivered as a message", async () => {
    const types: string[] = [];
    const two = Promise.withResolvers<void>();
    const consumption = await log.consume({
      stream: "EVENTS",
      consumer: "relayed",
      filter: `${log.subjects.namespace}.parked.>`,
      ackWaitMs: 5_000,
      demand: () => 10,
      onDelivery(delivery) {
        delivery.ack();
        if (types.push(typeOf(delivery.text)) === 2) two.resolve();
      },
      onInterrupted() {},
    });
    const parked = log.subjects.parked(RUN);
    relay(parked);
    await expect.poll(async () => (await log.list("EVENTS", parked)).get(parked)).toBe(1);
    await nc.request(log.subjects.parked(RUN), FORGED);
    await two.promise;
    await consumption.stop();
    expect(types).toEqual(["Relayed", "Forged"]);
  });

  it("is not heard as a broadcast, a question, or a journal as it is stored", async () => {
    const heard: string[] = [];
    const { presence } = log.subjects;
    const question = log.subjects.query(RUN);
    const subscriptions = [
      log.listen(presence, (text) => heard.push(`presence ${text}`)),
      log.answer(question, async (text) => {
        heard.push(`question ${text}`);
        return "answer";
      }),
      log.followJournal(RUN, ({ text }) => heard.push(`live ${text}`)),
    ];
    // The log's subscriptions are there once its own connection has been answered.
    await log.last(source());
    for (const to of [presence, question, log.subjects.liveJournal(RUN)]) relay(to);
    await handled();
    // Behind it, on the same ways.
    nc.publish(presence, "true");
    expect((await nc.request(question, "true")).string()).toBe("answer");
    await log.append(log.subjects.journal(RUN), '{"true":true}');
    await expect.poll(() => heard).toHaveLength(3);
    expect(heard.sort()).toEqual(['live {"true":true}', "presence true", "question true"]);
    for (const one of subscriptions) one.stop();
  });
});

describe("an answer of a process of ours", () => {
  it("is not sent to a subject of the namespace or of the server", async () => {
    const question = log.subjects.query(RUN);
    let asked = 0;
    const answering = log.answer(question, async () => {
      asked++;
      return '{"v":1,"type":"QueryAnswer"}';
    });
    await log.last(source());
    const sent: string[] = [];
    const listening = nc.subscribe(`${log.subjects.namespace}.>`, {
      callback: (_, msg) => void (msg.subject !== question && sent.push(msg.subject)),
    });
    const events = log.subjects.streamName("EVENTS");
    const { messages } = await (await jetstreamManager(nc)).streams.info(events).then(({ state }) => state);
    // A purge whose body is not empty removes everything, whatever else it says.
    for (const reply of [log.subjects.journal(RUN), log.subjects.presence, `$JS.API.STREAM.PURGE.${events}`])
      nc.publish(question, "{}", { reply });
    expect((await nc.request(question, "{}")).string()).toContain("QueryAnswer");
    await log.last(source());
    await nc.flush();
    expect({ asked, sent }).toEqual({ asked: 1, sent: [] });
    expect((await (await jetstreamManager(nc)).streams.info(events)).state.messages).toBe(messages);
    listening.unsubscribe();
    answering.stop();
  });
});
