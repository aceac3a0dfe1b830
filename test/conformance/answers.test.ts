/** What comes of the server's answers, and of their absence: a script answers in the place of JetStream. */
import { connect, type Msg, type NatsConnection } from "@nats-io/transport-node";
import { LogRefusedError, LogUnavailableError, WrongLastSequenceError } from "@stepstream/contracts";
import { type AppendOptions, systemClock } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Link, openLink } from "../../packages/event-log/src/jetstream/link.ts";
import { createPublisher, type Publisher } from "../../packages/event-log/src/jetstream/publisher.ts";
import { createRequests, type Requests } from "../../packages/event-log/src/jetstream/requests.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { startWire, type Wire } from "../support/wire.ts";

const error = (err_code: number, code: number, description: string) =>
  JSON.stringify({ stream: "S", seq: 0, error: { code, err_code, description } });
const ELECTION = error(10008, 503, "JetStream system temporarily unavailable");
const IN_PROCESS = error(10158, 409, "duplicate message id is in process");
const FULL = error(10077, 503, "maximum bytes exceeded");
const MOVED = error(10164, 400, "wrong last sequence");
const STORED = '{"stream":"S","seq":7}';
const AGAIN = '{"stream":"S","seq":7,"duplicate":true}';
const SILENCE = undefined;

let server: TestServer;
let admin: NatsConnection;
let link: Link;
let count = 0;

beforeAll(async () => {
  server = await startTestServer();
  admin = await connect({ servers: server.url });
});
beforeEach(async () => {
  link = await openLink(server.url, "answers", systemClock);
});
afterEach(async () => {
  await link.close();
});
afterAll(async () => {
  await admin.close();
  await server.stop();
});

/** Answers on a subject of its own, one line of the script each time; after its end with the last. */
async function script(lines: readonly (string | undefined)[], prefix = "script") {
  const subject = `${prefix}.inbox.${++count}`;
  const got: string[] = [];
  const sub = admin.subscribe(subject, {
    callback: (_error, msg: Msg) => {
      const line = lines[Math.min(got.length, lines.length - 1)];
      got.push(`${msg.headers?.get("Nats-Msg-Id") ?? ""} ${msg.string()}`);
      if (line !== undefined) msg.respond(line);
    },
  });
  await admin.flush();
  return { subject, got, stop: () => sub.unsubscribe() };
}

describe("an append", () => {
  let publisher: Publisher;
  const publishing = (timeoutMs: number) => {
    publisher = createPublisher(link, timeoutMs);
  };
  afterEach(() => publisher.stop());

  it.each([
    ["while there is an election", [ELECTION, ELECTION, ELECTION, STORED], { id: "a" }, { duplicate: false }],
    ["while there is an election, also without an id", [ELECTION, STORED], {}, { duplicate: false }],
    ["while its id is in process", [IN_PROCESS, IN_PROCESS, AGAIN], { id: "a" }, { duplicate: true }],
    ["where no answer comes", [SILENCE, AGAIN], { id: "a" }, { duplicate: true }],
    ["where the answer cannot be read", ["+OK", AGAIN], { id: "a" }, { duplicate: true }],
  ] as const)("is sent again, the same, %s", async (_when, lines, options, outcome) => {
    publishing(5_000);
    const { subject, got, stop } = await script(lines);
    const sentAt = performance.now();
    expect(await publisher.publish(subject, "x", options)).toEqual({ seq: 7, ...outcome });
    expect(performance.now() - sentAt).toBeLessThan(1_500);
    const id = "id" in options ? options.id : "";
    expect(got).toEqual(lines.map(() => `${id} x`));
    stop();
  });

  it("is sent again where nobody listens, until somebody does", async () => {
    publishing(5_000);
    const subject = `script.inbox.${count + 1}`;
    const appended = publisher.publish(subject, "x", { expectLast: 0 });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { stop } = await script([STORED]);
    expect(await appended).toEqual({ seq: 7, duplicate: false });
    stop();
  });

  it.each([
    ["stays unknown without an answer", [SILENCE], { id: "a" }, "unknown"],
    ["stays unknown while its id is in process", [IN_PROCESS], { id: "a" }, "unknown"],
    ["stays unknown where a repeat of it is refused", [SILENCE, FULL], { id: "a" }, "unknown"],
    ["is not stored in an election without end", [ELECTION], { id: "a" }, "not stored"],
  ] as const)("%s, and says so", async (_sentence, lines, options, outcome) => {
    publishing(1_200);
    const { subject, stop } = await script(lines);
    const failure = await publisher.publish(subject, "x", options).catch((thrown) => thrown);
    expect(failure).toBeInstanceOf(LogUnavailableError);
    expect(failure.detail).toEqual({ outcome });
    expect(failure.message).not.toContain("Nothing was written");
    stop();
  });

  it.each([
    ["that is refused", FULL, LogRefusedError],
    ["whose fence does not hold", MOVED, WrongLastSequenceError],
  ] as const)("%s is sent once, and fails at once", async (_what, line, kind) => {
    publishing(5_000);
    const { subject, got, stop } = await script([line]);
    const sentAt = performance.now();
    await expect(publisher.publish(subject, "x", { id: "a", expectLast: 3 })).rejects.toThrow(kind);
    expect(performance.now() - sentAt).toBeLessThan(400);
    expect(got).toHaveLength(1);
    stop();
  });

  it.each([
    ["without a fence and an id", {}, 1_000],
    ["that its sender looks for before it is sent again", { id: "a", ifLost: "fail" }, 500],
  ] as const)("%s is sent once where no answer comes", async (_what, options: AppendOptions, ms) => {
    publishing(1_000);
    const { subject, got, stop } = await script([SILENCE]);
    const sentAt = performance.now();
    const failure = await publisher.publish(subject, "x", options).catch((thrown) => thrown);
    expect(failure.detail).toEqual({ outcome: "unknown" });
    expect(performance.now() - sentAt).toBeGreaterThanOrEqual(ms - 10);
    expect(performance.now() - sentAt).toBeLessThan(ms + 400);
    expect(got).toHaveLength(1);
    stop();
  });

  it("is not sent again to a stream that is slow, and still acknowledges", async () => {
    publishing(5_000);
    const subject = `script.inbox.${++count}`;
    const got: Msg[] = [];
    const sub = admin.subscribe(subject, { callback: (_error, msg) => void got.push(msg) });
    await admin.flush();
    const all = Array.from({ length: 10 }, (_, i) => publisher.publish(subject, `${i}`, { id: `${i}` }));
    // One in 150 ms, in order: the last waits for 1.5 s.
    for (let i = 0; i < 10; i++) {
      await new Promise((resolve) => setTimeout(resolve, 150));
      got[i]!.respond(STORED);
    }
    await Promise.all(all);
    expect(got).toHaveLength(10);
    sub.unsubscribe();
  });
});

describe("an append of the log whose acknowledgement gets lost", () => {
  let wire: Wire;
  beforeAll(async () => {
    wire = await startWire(server.url);
  });
  afterAll(() => wire.stop());

  it.each([
    ["a fence", { expectLast: 0 }],
    ["an id", { id: "a" }],
    ["both", { expectLast: 0, id: "a" }],
  ])("is found, with %s, and stored once", async (_with, options) => {
    const log = await connectEventLog({ nats: wire.url, namespace: `answers-${++count}` });
    const subject = log.subjects.inboxFrom("client", "r");
    wire.mute();
    const appended = log.append(subject, "x", options);
    await new Promise((resolve) => setTimeout(resolve, 300));
    wire.unmute();
    expect(await appended).toEqual({ seq: 1, duplicate: true });
    expect(await log.read(subject)).toHaveLength(1);
    await log.close();
  });

  it("is not taken for another's at its fence", async () => {
    const log = await connectEventLog({ nats: wire.url, namespace: `answers-${++count}` });
    const other = await connectEventLog({ nats: server.url, namespace: log.subjects.namespace });
    const subject = log.subjects.inboxFrom("client", "r");
    await other.append(subject, "other");
    wire.mute();
    const refused = log.append(subject, "mine", { expectLast: 0 });
    refused.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 300));
    wire.unmute();
    await expect(refused).rejects.toThrow(WrongLastSequenceError);
    await Promise.all([log.close(), other.close()]);
  });
});

describe("a read", () => {
  let requests: Requests;
  const FOUND = '{"found":true}';
  /** What takes the place of the server, for one name of the API that it does not know. */
  async function scripted(lines: readonly (string | undefined)[], delaysMs: readonly number[] = []) {
    const name = `SCRIPT.${++count}`;
    const got: number[] = [];
    const sub = admin.subscribe(`$JS.API.${name}`, {
      callback: (_error, msg: Msg) => {
        const at = got.push(performance.now()) - 1;
        const line = lines[Math.min(at, lines.length - 1)];
        if (line !== undefined) setTimeout(() => msg.respond(line), delaysMs[at] ?? 0);
      },
    });
    await admin.flush();
    return { name, got, stop: () => sub.unsubscribe() };
  }
  afterEach(() => requests.stop());

  it.each([
    ["while there is an election", [ELECTION, ELECTION, FOUND]],
    ["where no answer comes", [SILENCE, FOUND]],
  ] as const)("is asked again %s", async (_when, lines) => {
    requests = createRequests(link, 5_000);
    const { name, got, stop } = await scripted(lines);
    const askedAt = performance.now();
    expect(await requests.api(name)).toEqual({ found: true });
    expect(performance.now() - askedAt).toBeLessThan(1_500);
    expect(got).toHaveLength(lines.length);
    stop();
  });

  it("takes the late answer to its first question as well", async () => {
    requests = createRequests(link, 5_000);
    const { name, got, stop } = await scripted(['{"try":1}', SILENCE], [900]);
    expect(await requests.api(name)).toEqual({ try: 1 });
    expect(got).toHaveLength(2);
    stop();
  });

  it("that fails says nothing of what was written", async () => {
    requests = createRequests(link, 1_000);
    const { name, stop } = await scripted([ELECTION]);
    await expect(requests.api(name)).rejects.toThrow(LogUnavailableError);
    stop();
    const bus = { nats: server.url, namespace: `answers-${++count}`, timeoutMs: 1_000 };
    await (await connectEventLog(bus)).close();
    // It does not make the stream again.
    const log = await connectEventLog({ ...bus, create: false });
    const inbox = log.subjects.inboxFrom("client", "r");
    await admin.request(`$JS.API.STREAM.DELETE.${log.subjects.streamName("EVENTS")}`);
    const reads = [
      log.read(inbox),
      log.read(inbox, { fresh: true }),
      log.last(inbox),
      log.list("EVENTS", inbox),
      log.backlog("EVENTS"),
    ];
    const failures = (await Promise.allSettled(reads)).flatMap((one) => (one.status === "rejected" ? one.reason : []));
    expect(failures.length).toBeGreaterThanOrEqual(4);
    for (const { message } of failures) expect(message).not.toMatch(/Nothing was written|is unknown/);
    await log.close();
  });
});
