/** What nats-server does not permit: every operation of the event log says so, and recovers once it is permitted. */

import { PermissionDeniedError } from "@stepstream/contracts";
import type { DenialReport, EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type GuardedServer, noGuardedServer, startGuardedServer } from "../support/guarded.ts";

const NS = "shop";
/** More than once the longest wait between two tries. */
const HEALED_MS = 10_000;

type Denied = { publish?: string[]; subscribe?: string[] };

/** User `boss` may do everything; of `eva` the server denies some. */
function config({ publish = [], subscribe = [] }: Denied): string {
  const deny = (subjects: string[]) => `{ deny: ${JSON.stringify(subjects)} }`;
  const permissions = `{ publish: ${deny(publish)}, subscribe: ${deny(subscribe)} }`;
  return `authorization { users: [
    { user: boss, password: x }
    { user: eva, password: x, permissions: ${permissions} }
  ] }`;
}

let server: GuardedServer;
let boss: EventLog;
let eva: EventLog;
let reports: DenialReport[];

const as = (user: string) => connectEventLog({ nats: `nats://${user}:x@${server.address}`, namespace: NS });
const seen = () => reports.map(({ operation, needed }) => `${operation} ${needed}`);

async function deny(denied: Denied): Promise<void> {
  await server.reload(config(denied));
}

describe.skipIf(noGuardedServer)("what the server does not permit", () => {
  beforeEach(async () => {
    server = await startGuardedServer(config({}));
    boss = await as("boss");
    eva = await as("eva");
    reports = [];
    eva.onDenied!((report) => reports.push(report));
  });
  afterEach(async () => {
    await Promise.all([boss?.close(), eva?.close()]);
    await server?.stop();
  });

  const inbox = () => eva.subjects.inboxFrom("client", "r1");
  const large = "x".repeat(600_000);
  const consuming = (onDelivery = () => {}) =>
    ({
      stream: "EVENTS",
      consumer: "inbox-0",
      filter: "shop.inbox.0.>",
      ackWaitMs: 1_000,
      demand: () => 1,
      onDelivery,
    }) as const;

  it.each<[string, Denied, string, () => Promise<unknown>]>([
    ["an append", { publish: ["shop.inbox.>"] }, "shop.inbox.*.*.client", () => eva.append(inbox(), "{}")],
    [
      "a fenced append",
      { publish: ["shop.inbox.>"] },
      "shop.inbox.*.*.client",
      () => eva.append(inbox(), "{}", { expectLast: 1, id: "a" }),
    ],
    ["a large append", { publish: ["shop.blob.>"] }, "shop.blob.>", () => eva.append(inbox(), large)],
    ["a read", { publish: ["$JS.API.DIRECT.GET.>"] }, "$JS.API.DIRECT.GET.shop_EVENTS", () => eva.read(inbox())],
    [
      "a last message",
      { publish: ["$JS.API.DIRECT.GET.>"] },
      "$JS.API.DIRECT.GET.shop_EVENTS.>",
      () => eva.last(inbox()),
    ],
    [
      "a fresh read",
      { publish: ["$JS.API.STREAM.MSG.GET.>"] },
      "$JS.API.STREAM.MSG.GET.shop_EVENTS",
      () => eva.last(inbox(), { fresh: true }),
    ],
    [
      "a listing",
      { publish: ["$JS.API.STREAM.INFO.>"] },
      "$JS.API.STREAM.INFO.shop_EVENTS",
      () => eva.list("EVENTS", "shop.inbox.>"),
    ],
    [
      "a removal",
      { publish: ["$JS.API.STREAM.MSG.DELETE.>"] },
      "$JS.API.STREAM.MSG.DELETE.shop_EVENTS",
      () => eva.remove(inbox()),
    ],
    ["a timer", { publish: ["shop.timer.>"] }, "shop.timer.>", () => eva.setTimer("r1", 1, Date.now() + 60_000)],
    [
      "the end of a timer",
      { publish: ["$JS.API.STREAM.PURGE.>"] },
      "$JS.API.STREAM.PURGE.shop_TIMERS",
      () => eva.cancelTimer("r1", 1),
    ],
    [
      "a consumer",
      { publish: ["$JS.API.CONSUMER.CREATE.>"] },
      "$JS.API.CONSUMER.CREATE.shop_EVENTS.>",
      () => eva.consume(consuming()),
    ],
    [
      "its progress",
      { publish: ["$JS.API.CONSUMER.INFO.>"] },
      "$JS.API.CONSUMER.INFO.shop_EVENTS.>",
      () => eva.progress("EVENTS", "inbox-0"),
    ],
    [
      "a backlog",
      { publish: ["$JS.API.CONSUMER.LIST.>"] },
      "$JS.API.CONSUMER.LIST.shop_EVENTS",
      () => eva.backlog("EVENTS"),
    ],
    [
      "a question to a run",
      { publish: ["shop.query.>"] },
      "shop.query.>",
      () => eva.ask("shop.query.0.r1", "{}", 5_000),
    ],
  ])(
    "fails %s at once, with the permission needed; and not once it is permitted",
    async (_what, denied, needed, act) => {
      await boss.append(inbox(), "{}");
      await deny(denied);
      const since = performance.now();
      const error = await act().then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(performance.now() - since).toBeLessThan(1_000);
      expect(error).toBeInstanceOf(PermissionDeniedError);
      expect(error).toMatchObject({ code: "PERMISSION_DENIED", operation: "publish", needed });
      expect((error as Error).message).toContain(`Allow this user to publish to "${needed}"`);
      await expect.poll(seen).toContain(`publish ${needed}`);
      expect(eva.denials()).toMatchObject([{ operation: "publish", needed }]);
      await deny({});
      // Of a question to nobody there is no answer.
      await act();
    },
  );

  it("reports an acknowledgement, which is sent again with each redelivery, and is taken once it is permitted", async () => {
    await deny({ publish: ["$JS.ACK.>"] });
    let deliveries = 0;
    const consumption = await eva.consume({
      ...consuming(),
      filter: "shop.inbox.>",
      demand: () => 1,
      onDelivery(delivery) {
        deliveries++;
        delivery.ack();
      },
    });
    await boss.append(inbox(), "{}");
    await expect.poll(seen, { timeout: 5_000 }).toEqual(["publish $JS.ACK.shop_EVENTS.>"]);
    expect(reports[0]!.error.message).toContain("The message will be redelivered.");
    await expect.poll(() => deliveries, { timeout: 5_000 }).toBeGreaterThan(2);
    expect(reports).toHaveLength(1);
    await deny({});
    const taken = async () => (await boss.progress("EVENTS", "inbox-0")).ackFloor;
    await expect.poll(taken, { timeout: HEALED_MS }).toBe(1);
    await consumption.stop();
  });

  it("reports a request for messages, which come once it is permitted", async () => {
    await deny({ publish: ["$JS.API.CONSUMER.MSG.NEXT.>"] });
    const came = Promise.withResolvers<void>();
    const consumption = await eva.consume({ ...consuming(() => came.resolve()), filter: "shop.inbox.>" });
    await boss.append(inbox(), "{}");
    await expect.poll(seen).toEqual(["publish $JS.API.CONSUMER.MSG.NEXT.shop_EVENTS.>"]);
    expect(reports[0]!.error.message).toContain("No message is received until it is permitted.");
    expect(consumption.lost).toBe(true);
    await deny({});
    const since = performance.now();
    await came.promise;
    expect(performance.now() - since).toBeLessThan(HEALED_MS);
    expect(consumption.lost).toBe(false);
    await consumption.stop();
  });

  it.each<[string, string, (hear: () => void) => { stop(): unknown }, () => Promise<unknown>]>([
    [
      "listener",
      "shop.cancel.*",
      (hear) => eva.listen("shop.cancel.*", hear),
      async () => boss.broadcast("shop.cancel.r1", "{}"),
    ],
    [
      "answer",
      "shop.query.0.*",
      (hear) =>
        eva.answer("shop.query.0.*", async () => {
          hear();
          return "{}";
        }),
      () => boss.ask("shop.query.0.r1", "{}", 500),
    ],
    [
      "follower",
      "shop.live.journal.>",
      (hear) => eva.followJournal("r1", hear),
      () => boss.append(boss.subjects.journal("r1"), "{}"),
    ],
  ])(
    "a subscription that is denied, and permitted later, receives again: a %s",
    async (_what, subject, subscribe, send) => {
      await deny({ subscribe: [subject] });
      let heard = 0;
      const subscription = subscribe(() => heard++);
      await expect.poll(seen).toMatchObject([expect.stringMatching(/^subscribe shop\.(cancel|query|live)\.>$/)]);
      expect(reports[0]!.error.message).toContain("No message is received there until it is permitted.");
      await send();
      await deny({});
      const hears = async () => {
        await send();
        return heard;
      };
      await expect.poll(hears, { timeout: HEALED_MS }).toBeGreaterThan(0);

      // One that the server removes while it is in use.
      await deny({ subscribe: [subject] });
      await deny({});
      await expect.poll(hears, { timeout: HEALED_MS }).toBeGreaterThan(heard);
      subscription.stop();
    },
  );

  it("a request fails at once while its replies are denied, and not after", async () => {
    await deny({ subscribe: ["_INBOX.>"] });
    await expect.poll(seen).toContain("subscribe _INBOX.>");
    const since = performance.now();
    for (const act of [() => eva.append(inbox(), "{}"), () => eva.read(inbox()), () => eva.cancelTimer("r1", 1)])
      await expect(act()).rejects.toMatchObject({ code: "PERMISSION_DENIED", needed: "_INBOX.>" });
    expect(performance.now() - since).toBeLessThan(1_000);
    expect(await boss.read(inbox())).toEqual([]);
    await deny({});
    await expect
      .poll(() => eva.append(inbox(), "{}").catch(() => undefined), { timeout: HEALED_MS })
      .toMatchObject({ seq: 1 });
    await expect.poll(() => eva.read(inbox()).catch(() => []), { timeout: HEALED_MS }).toHaveLength(1);
  });

  it("messages that were denied their way to a consumer come once they are permitted", async () => {
    const came = Promise.withResolvers<void>();
    const consumption = await eva.consume({ ...consuming(() => came.resolve()), filter: "shop.inbox.>" });
    await deny({ subscribe: ["_INBOX.>"] });
    await boss.append(inbox(), "{}");
    await expect.poll(seen).toContain("subscribe _INBOX.>");
    await deny({});
    const since = performance.now();
    await came.promise;
    expect(performance.now() - since).toBeLessThan(HEALED_MS);
    await consumption.stop();
  });

  it("keeps a large value that may not be fetched; it comes once that is permitted", async () => {
    await boss.append(inbox(), large);
    await deny({ publish: ["$JS.API.DIRECT.GET.shop_BLOBS.>"] });
    await expect(eva.read(inbox())).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    const came: string[] = [];
    const consumption = await eva.consume({
      ...consuming(),
      filter: "shop.inbox.>",
      onDelivery(delivery) {
        came.push(delivery.text);
        delivery.ack();
      },
    });
    await expect.poll(seen).toContain("publish $JS.API.DIRECT.GET.shop_BLOBS.>");
    expect(came).toEqual([]);
    await deny({});
    await expect.poll(() => came.map(({ length }) => length), { timeout: HEALED_MS }).toEqual([large.length]);
    await consumption.stop();
  });

  it("reports a broadcast, and an answer that may not be sent", async () => {
    const answering = eva.answer("shop.query.0.*", async () => "{}");
    await deny({ publish: ["shop.presence", "_INBOX.>"] });
    eva.broadcast("shop.presence", "{}");
    expect(await boss.ask("shop.query.0.r1", "{}", 500)).toBeUndefined();
    await expect.poll(seen).toEqual(["publish shop.presence", "publish _INBOX.>"]);
    answering.stop();
  });
});
